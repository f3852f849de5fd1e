"""Stockade in FastAPI: an engine for the life of an app, as a dependency.

    app = FastAPI(lifespan=stockade_lifespan("sqlite:shop.db"))
    install_errors(app)

    @app.post("/buy/{product_id}")
    async def buy(product_id: int, engine: StockadeEngine) -> int:
        async with engine.create_hold(product_id, 1) as hold:
            return (await engine.create_order(hold)).id

Requires the extra `stockade[fastapi]`. Each worker process opens an engine of its own; to
share one, open that of a running `stockade serve --unix`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from stockade._engine import AsyncEngine
from stockade._problem import CONTENT_TYPE, headers_of, problem_of, status_of
from stockade._webhook import SIGNATURE_HEADER, verify_webhook
from stockade.exceptions import MisuseError, StockadeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager
    from typing import Unpack

    from stockade._settings import Settings

__all__ = [
    "StockadeEngine",
    "engine_of",
    "install_errors",
    "stockade_lifespan",
    "verified_body",
]


def stockade_lifespan(
    store: str, **settings: Unpack[Settings]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return a lifespan that keeps an engine open.

    An app with a lifespan of its own enters it there:
    `async with stockade_lifespan("sqlite:shop.db")(app): yield`.

    Args:
        store: The store's URL, as for `AsyncEngine`.
        settings: The engine's settings.

    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncEngine(store, **settings) as engine:
            app.state.stockade = engine
            try:
                yield
            finally:
                del app.state.stockade

    return lifespan


async def engine_of(request: Request) -> AsyncEngine:
    """Return the engine of the request's app: a dependency.

    Raises:
        MisuseError: The app's lifespan opened none.

    """
    engine = getattr(request.app.state, "stockade", None)
    if not isinstance(engine, AsyncEngine):
        raise MisuseError("the app has no engine: give FastAPI the lifespan stockade_lifespan(...)")
    return engine


StockadeEngine = Annotated[AsyncEngine, Depends(engine_of)]
"""The engine of the app, as a parameter of a path operation."""


def install_errors(app: FastAPI) -> None:
    """Answer refusals as the server does: problem documents with a stable code."""

    async def refused(_request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, StockadeError):
            raise error
        return JSONResponse(
            problem_of(error), status_of(error), headers_of(error), media_type=CONTENT_TYPE
        )

    app.add_exception_handler(StockadeError, refused)


def verified_body(
    secrets: str | bytes | Iterable[str | bytes],
) -> Callable[[Request], Awaitable[bytes]]:
    """Return a dependency: the raw body of a webhook whose signature is valid.

    Args:
        secrets: The shared secret, or several during a rotation.

    Raises:
        UnauthorizedError: By the dependency: the signature is missing, wrong or too old.

    """
    accepted = [secrets] if isinstance(secrets, str | bytes) else list(secrets)

    async def body(request: Request) -> bytes:
        content = await request.body()
        verify_webhook(content, request.headers.get(SIGNATURE_HEADER), accepted)
        return content

    return body
