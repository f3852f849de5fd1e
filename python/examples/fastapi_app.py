"""A shop's API on FastAPI: `STOCKADE_STORE=sqlite:shop.db uvicorn fastapi_app:app`.

The engine is opened in each worker, after uvicorn forked or spawned it.
"""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from stockade import AsyncEngine, StockadeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STATUS = {
    "not_found": 404,
    "product_mismatch": 404,
    "insufficient_stock": 409,
    "hold_already_used": 409,
    "contention": 503,
    "unavailable": 503,
    "misuse": 500,
    "internal": 500,
}
"""HTTP status by the error's code; any other is 422."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep an engine open for as long as the app runs."""
    store = os.environ.get("STOCKADE_STORE", "sqlite:shop.db")
    async with AsyncEngine(store, redis=os.environ.get("STOCKADE_REDIS")) as engine:
        app.state.engine = engine
        yield


app = FastAPI(lifespan=lifespan)


def engine_of(request: Request) -> AsyncEngine:
    """Find the engine of the app that a request came to."""
    engine: AsyncEngine = request.app.state.engine
    return engine


@app.exception_handler(StockadeError)
async def refused(_request: Request, error: StockadeError) -> JSONResponse:
    """Answer an error of the engine as a problem."""
    problem = {"success": False, "code": error.code, "message": str(error)}
    if error.available is not None:
        problem["available"] = error.available
    headers = {"Retry-After": str(round(error.retry_after))} if error.retry_after else None
    return JSONResponse(
        problem, STATUS.get(error.code, 422), headers, media_type="application/problem+json"
    )


@app.get("/products/{product_id}")
async def product(request: Request, product_id: str) -> dict[str, Any]:
    """Show what is left of a product."""
    found = await engine_of(request).product(product_id)
    return {"id": found.id, "price": str(found.price), "stock": found.stock}


IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key")]


@app.post("/holds/{product_id}/{quantity}")
async def hold(
    request: Request, product_id: str, quantity: str, key: IdempotencyKey = None
) -> dict[str, Any]:
    """Hold units for a buyer who is about to pay."""
    held = await engine_of(request).hold(product_id, quantity, key=key)
    return {"id": held.id, "qty": held.qty, "expires_at": held.expires_at}


@app.post("/orders/{hold_id}/{product_id}")
async def order(
    request: Request, hold_id: str, product_id: str, key: IdempotencyKey = None
) -> dict[str, Any]:
    """Turn a hold into an order."""
    made = await engine_of(request).order(hold_id, product_id, key=key)
    return {"id": made.id, "status": made.status, "payment_token": made.payment_token}


class Checkout(BaseModel):
    """What is bought at once: hold and order in one request."""

    items: dict[int, int]


@app.post("/checkout")
async def checkout(request: Request, wanted: Checkout) -> dict[str, Any]:
    """Order a whole cart or nothing of it."""
    engine = engine_of(request)
    async with engine.hold_many(wanted.items) as cart:
        # What is not ordered at the end of the block is for sale again.
        orders = [await engine.order(held) for held in cart]
    return {"orders": [made.id for made in orders]}


@app.post("/payments/webhook")
async def webhook(request: Request) -> dict[str, str]:
    """Take the payment provider's word."""
    body = await request.body()
    said = json.loads(body)
    await engine_of(request).payment(
        said["status"], payment_token=said["payment_token"], key=said["key"], body=body
    )
    return {"message": "ok"}
