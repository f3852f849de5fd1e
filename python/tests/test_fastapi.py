"""The integration with FastAPI."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI

from stockade import MisuseError, sign_webhook
from stockade.fastapi import StockadeEngine, install_errors, stockade_lifespan, verified_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Body = Annotated[bytes, Depends(verified_body(["new", "hush"]))]


def shop(app: FastAPI) -> FastAPI:
    install_errors(app)

    @app.post("/products")
    async def create(engine: StockadeEngine) -> int:
        return (await engine.create_product("Lamp", "19.99", 5)).id

    @app.post("/buy/{product_id}/{quantity}")
    async def buy(product_id: str, quantity: int, engine: StockadeEngine) -> dict[str, Any]:
        async with engine.create_hold(product_id, quantity) as hold:
            order = await engine.create_order(hold)
        return {"order": order.id, "amount": str(order.amount)}

    @app.post("/hook")
    async def hook(body: Body, engine: StockadeEngine) -> str:
        event = json.loads(body)
        receipt = await engine.record_payment(event["status"], order_id=event["order_id"])
        return receipt.status

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = shop(FastAPI(lifespan=stockade_lifespan("sqlite::memory:", max_per_hold=10)))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
    ):
        yield client


async def test_engine_is_a_dependency(client: httpx.AsyncClient) -> None:
    product = (await client.post("/products")).json()
    bought = await client.post(f"/buy/{product}/2")
    assert bought.json() == {"order": 1, "amount": "39.98"}


async def test_refusals_are_problem_documents(client: httpx.AsyncClient) -> None:
    product = (await client.post("/products")).json()
    refused = await client.post(f"/buy/{product}/6")
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    assert (refused.json()["code"], refused.json()["available"]) == ("insufficient_stock", 5)
    statuses = {
        f"/buy/{product}/11": (422, "quantity_limit"),
        "/buy/999999/1": (404, "not_found"),
        "/buy/one/1": (422, "invalid_argument"),
    }
    for path, expected in statuses.items():
        answer = await client.post(path)
        assert (answer.status_code, answer.json()["code"]) == expected


async def test_webhook_body_must_be_signed(client: httpx.AsyncClient) -> None:
    product = (await client.post("/products")).json()
    order = (await client.post(f"/buy/{product}/1")).json()["order"]
    body = json.dumps({"status": "paid", "order_id": order})

    async def hook(signature: str | None) -> httpx.Response:
        headers = {} if signature is None else {"Stockade-Signature": signature}
        return await client.post("/hook", content=body, headers=headers)

    for wrong in (None, sign_webhook(body, "guess"), sign_webhook(f"{body} ", "hush")):
        assert (await hook(wrong)).status_code == 401
    assert (await hook(sign_webhook(body, "hush"))).json() == "applied"


async def test_an_app_without_the_lifespan_says_so() -> None:
    transport = httpx.ASGITransport(shop(FastAPI()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        answer = await client.post("/products")
    assert answer.status_code == 500
    assert answer.json()["code"] == MisuseError.code
    assert "stockade_lifespan" in answer.json()["message"]
