"""A shop's API on FastAPI: `uvicorn fastapi_app:app`.

    STOCKADE_STORE=sqlite:shop.db STOCKADE_WEBHOOK_SECRET=… uvicorn fastapi_app:app

The engine is opened in each worker, after uvicorn forked or spawned it. What a
buyer could pay with, or take another buyer's units with, never reaches him: the
payment token goes to the payment provider only, and a hold is used with its
token, which only its own buyer has. A webhook counts only when it is signed.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from stockade import (
    SIGNATURE_HEADER,
    AsyncEngine,
    InvalidArgumentError,
    Order,
    StockadeError,
    verify_webhook,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STATUS = {
    "unauthorized": 401,
    "not_found": 404,
    "product_mismatch": 404,
    "insufficient_stock": 409,
    "hold_already_used": 409,
    "contention": 503,
    "unavailable": 503,
    "misuse": 500,
    "internal": 500,
}
"""HTTP status by error code; any other is 422."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep an engine open during the app's lifespan."""
    # Without a secret a buyer could forge the provider's webhooks: refuse to
    # start.
    app.state.webhook_secrets = os.environ["STOCKADE_WEBHOOK_SECRET"].split(",")
    store = os.environ.get("STOCKADE_STORE", "sqlite:shop.db")
    redis = os.environ.get("STOCKADE_REDIS")
    # A running engine has its own settings: start it with --require-hold-token.
    is_running = store.startswith(("unix:", "http:", "https:"))
    opened = (
        AsyncEngine(store)
        if is_running
        else AsyncEngine(store, redis=redis, require_hold_token=True)
    )
    async with opened as engine:
        app.state.engine = engine
        yield


app = FastAPI(lifespan=lifespan)


def engine_of(request: Request) -> AsyncEngine:
    """Return the engine of the request's app."""
    engine: AsyncEngine = request.app.state.engine
    return engine


@app.exception_handler(StockadeError)
async def refused(_request: Request, error: StockadeError) -> JSONResponse:
    """Convert an error of the engine to a problem response."""
    problem = {"success": False, "code": error.code, "message": str(error)}
    if error.available is not None:
        problem["available"] = error.available
    headers = {"Retry-After": str(round(error.retry_after))} if error.retry_after else None
    return JSONResponse(
        problem, STATUS.get(error.code, 422), headers, media_type="application/problem+json"
    )


async def payment_page(order: Order) -> str:
    """Create the payment provider's page for an order and return its URL.

    Here the shop calls its provider, who is told the payment token as the
    order's reference and sends it back in the webhook. The buyer sees the page
    alone: with the token he could say himself that he has paid.
    """
    return f"https://pay.example/shop/{order.id}"


@app.get("/products/{product_id}")
async def product(request: Request, product_id: str) -> dict[str, Any]:
    """Show the available stock of a product."""
    found = await engine_of(request).product(product_id)
    return {"id": found.id, "price": str(found.price), "stock": found.stock}


IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key")]
HoldToken = Annotated[str | None, Header(alias="Hold-Token")]


@app.post("/holds/{product_id}/{quantity}")
async def hold(
    request: Request, product_id: str, quantity: str, key: IdempotencyKey = None
) -> dict[str, Any]:
    """Hold units for a buyer; the token authorizes using the hold."""
    held = await engine_of(request).create_hold(product_id, quantity, key=key)
    return {"id": held.id, "qty": held.quantity, "expires_at": held.expires_at, "token": held.token}


@app.post("/orders/{hold_id}/{product_id}")
async def order(
    request: Request,
    hold_id: str,
    product_id: str,
    key: IdempotencyKey = None,
    token: HoldToken = None,
) -> dict[str, Any]:
    """Turn a hold into an order and return the payment page."""
    made = await engine_of(request).create_order(hold_id, product_id, key=key, token=token)
    return {"id": made.id, "status": made.status, "pay_at": await payment_page(made)}


class Checkout(BaseModel):
    """Hold and order in one request."""

    items: dict[int, int]


@app.post("/checkout")
async def checkout(request: Request, wanted: Checkout) -> dict[str, Any]:
    """Hold a cart and turn it into one order, both all or none."""
    engine = engine_of(request)
    # Leaving the block releases what was not ordered.
    async with engine.create_holds(wanted.items) as cart:
        made = await engine.create_order(cart)
    return {"id": made.id, "amount": str(made.amount), "pay_at": await payment_page(made)}


class Word(BaseModel):
    """A payment provider's event."""

    status: str
    payment_token: str
    key: str


@app.post("/payments/webhook")
async def webhook(request: Request) -> dict[str, str]:
    """Verify and apply a payment provider's event."""
    body = await request.body()
    signature = request.headers.get(SIGNATURE_HEADER)
    verify_webhook(body, signature, request.app.state.webhook_secrets)
    try:
        said = Word.model_validate_json(body)
    except ValidationError as error:
        raise InvalidArgumentError("the body must have status, payment_token and key") from error
    await engine_of(request).record_payment(
        said.status, payment_token=said.payment_token, key=said.key
    )
    return {"message": "ok"}
