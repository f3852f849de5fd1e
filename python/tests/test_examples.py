"""Runs the examples and the README's code unchanged."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import doctest
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import stockade
from conftest import WITHIN, make_store, numbers, wait_until
from stockade import AsyncEngine, Cart, ContentionError, HoldStatus, Order, sign_webhook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Store

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
GUNICORN_STOCK = 60
SECRET = "hush"


def shown_in(readme: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)


SHOWN = [*shown_in(ROOT / "README.md"), *shown_in(ROOT.parent / "README.md")]


def test_the_readme_has_examples() -> None:
    assert len(SHOWN) >= 2


@pytest.mark.parametrize("code", SHOWN)
def test_readme_code_runs(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert re.search(r"\b2 (sold|ordered)\b", done.stdout)


def test_the_docstrings_run() -> None:
    tried = doctest.testmod(stockade._engine)
    assert tried.attempted > 0
    assert tried.failed == 0


@pytest.fixture
def shop(file_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A shop with one product, at the store of the examples."""
    with file_store.engine() as engine:
        engine.create_product("Lamp", "19.99", 5)
    monkeypatch.setenv("STOCKADE_STORE", file_store.url)
    monkeypatch.setenv("STOCKADE_WEBHOOK_SECRET", f"older,{SECRET}")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return file_store


def signed(body: str, secret: str = SECRET) -> dict[str, str]:
    """Headers of a webhook."""
    return {"Stockade-Signature": sign_webhook(body, secret), "Content-Type": "application/json"}


async def test_the_fastapi_app(shop: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("fastapi_app")
    app = module.app
    told: dict[int, str] = {}

    async def payment_page(order: Order) -> str:
        told[order.id] = order.payment_token
        return f"https://pay.example/{order.id}"

    monkeypatch.setattr(module, "payment_page", payment_page)
    transport = httpx.ASGITransport(app)
    client = httpx.AsyncClient(transport=transport, base_url="http://shop")
    async with app.router.lifespan_context(app), client:
        assert (await client.get("/products/1")).json() == {"id": 1, "price": "19.99", "stock": 5}
        keyed = {"Idempotency-Key": "cart-1"}
        held = await client.post("/holds/1/2", headers=keyed)
        assert held.status_code == 200
        assert (await client.post("/holds/1/2", headers=keyed)).json() == held.json()

        ordering = f"/orders/{held.json()['id']}/1"
        assert (await client.post(ordering)).status_code == 401
        own = {"Hold-Token": held.json()["token"]}
        order = await client.post(ordering, headers=own)
        assert order.json()["pay_at"] == "https://pay.example/1"
        assert told[1] not in order.text

        paid = json.dumps({"status": "paid", "payment_token": told[1], "key": "evt-1"})
        hook = "/payments/webhook"
        for headers in ({}, signed(paid, "loud"), signed(f"{paid} ")):
            refused = await client.post(hook, content=paid, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        taken = await client.post(hook, content=paid, headers=signed(paid))
        assert taken.json() == {"message": "ok"}
        for bad in ("", "[]", '{"status": "paid"}'):
            answer = await client.post(hook, content=bad, headers=signed(bad))
            assert answer.status_code == 422

        bought = await client.post("/checkout", json={"items": {"1": 1}})
        assert bought.json() == {
            "id": 2,
            "amount": "19.99",
            "pay_at": "https://pay.example/2",
        }
        refused = await client.post("/holds/1/3")
        assert (refused.status_code, refused.json()["available"]) == (409, 2)
        assert refused.headers["content-type"] == "application/problem+json"
        assert (await client.post("/holds/1/2abc")).status_code == 422
        assert (await client.get("/products/9")).json()["code"] == "not_found"
    with shop.engine() as engine:
        assert numbers(engine, 1) == (2, 0, 1, 2)


async def test_a_checkout_that_fails_half_way_keeps_nothing(
    shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop.engine() as engine:
        engine.create_product("Shade", "5", 5)
    app = importlib.import_module("fastapi_app").app
    transport = httpx.ASGITransport(app)
    client = httpx.AsyncClient(transport=transport, base_url="http://shop")

    async def order(_engine: AsyncEngine, _cart: Cart) -> Order:
        raise ContentionError("busy", retry_after=1)

    async with app.router.lifespan_context(app), client:
        monkeypatch.setattr(AsyncEngine, "create_order", order)
        failed = await client.post("/checkout", json={"items": {"1": 1, "2": 1}})
        assert failed.status_code == 503
    with shop.engine() as engine:
        assert numbers(engine, 1) == numbers(engine, 2) == (5, 0, 0, 0)


def test_without_a_secret_no_example_starts(shop: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOCKADE_WEBHOOK_SECRET")
    for program in ("import django_shop", "import fastapi_app, asyncio; asyncio.run(go())"):
        prefix = (
            "async def go():\n"
            "    async with fastapi_app.app.router.lifespan_context(fastapi_app.app): pass\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", prefix + program],
            check=False,
            capture_output=True,
            text=True,
            cwd=EXAMPLES,
        )
        assert done.returncode != 0
        assert "STOCKADE_WEBHOOK_SECRET" in done.stderr
    assert shop


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def web_server(port: int, *command: str) -> Iterator[str]:
    """Run a Python module as a web server and yield its URL."""
    with subprocess.Popen([sys.executable, "-m", *command], cwd=EXAMPLES) as server:
        try:
            wait_until("it listens", lambda: is_open(port) or server.poll() is not None)
            assert server.poll() is None
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(WITHIN)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.usefixtures("shop")
async def test_the_fastapi_app_under_uvicorn() -> None:
    port = free_port()
    app = ["uvicorn", "fastapi_app:app", "--port", str(port), "--log-level", "warning"]
    with web_server(port, *app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=WITHIN) as client:
            buying = [client.post("/checkout", json={"items": {"1": 1}}) for _ in range(20)]
            answers = [answer.status_code for answer in await asyncio.gather(*buying)]
            assert sorted(answers) == [200] * 5 + [409] * 15
            assert (await client.get("/products/1")).json()["stock"] == 0


def test_the_django_views(shop: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = importlib.import_module("django_shop")
    told: dict[int, str] = {}

    def payment_page(order: Order) -> str:
        told[order.id] = order.payment_token
        return f"https://pay.example/{order.id}"

    monkeypatch.setattr(module, "payment_page", payment_page)
    django: Any = importlib.import_module("django")
    django.setup()
    client = importlib.import_module("django.test").Client()
    module.settings.STOCKADE["store"] = shop.url
    module.engine.cache_clear()
    try:
        assert client.get("/products/1").json() == {"id": 1, "price": "19.99", "stock": 5}
        bought = client.post("/products/1/buy", {"quantity": 2}, "application/json")
        assert bought.status_code == 201
        assert bought.json() == {"order": 1, "pay_at": "https://pay.example/1"}

        def hook(body: str, header: str | None) -> int:
            headers = {} if header is None else {"Stockade-Signature": header}
            answer = client.post(
                "/payments/webhook", body, content_type="application/json", headers=headers
            )
            return int(answer.status_code)

        paid = json.dumps({"status": "paid", "payment_token": told[1], "key": "e-1"})
        assert hook(paid, None) == hook(paid, sign_webhook(paid, "loud")) == 401
        assert hook("[]", sign_webhook("[]", SECRET)) == 422
        assert hook(paid, sign_webhook(paid, SECRET)) == 200
        refused = client.post("/products/1/buy", {"quantity": 4}, "application/json")
        assert (refused.status_code, refused.json()["available"]) == (409, 3)
        assert client.get("/products/9").status_code == 404
        bad = client.post("/products/1/buy", {"quantity": 1.5}, "application/json")
        assert bad.status_code == 422

        def buy(_number: int) -> int:
            one = {"quantity": 1}
            return int(client.post("/products/1/buy", one, "application/json").status_code)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(buy, range(8))) == [201] * 3 + [409] * 5
        assert numbers(module.engine(), 1) == (0, 0, 3, 2)
    finally:
        module.engine().close()


@pytest.mark.parametrize("flags", [[], ["--preload"]], ids=["", "preload"])
def test_gunicorns_workers_share_a_running_engine(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store("socket", tmp_path)
    with store.engine() as engine:
        engine.create_product("Lamp", "19.99", GUNICORN_STOCK)
    monkeypatch.setenv("STOCKADE_STORE", store.url)
    monkeypatch.setenv("STOCKADE_WEBHOOK_SECRET", SECRET)
    port = free_port()
    bind = ["--bind", f"127.0.0.1:{port}", "--no-control-socket", "--log-level", "warning"]

    def buy(url: str) -> int:
        bought = 0
        with httpx.Client(base_url=url, timeout=WITHIN) as client:
            while True:
                answer = client.post("/products/1/buy", json={"quantity": 1})
                if answer.status_code != 201:
                    refused = (answer.status_code, answer.json()["code"])
                    assert refused == (409, "insufficient_stock")
                    return bought
                bought += 1

    with (
        web_server(port, "gunicorn", "-w", "4", *bind, *flags, "django_shop:application") as url,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        assert sum(pool.map(buy, [url] * 8)) == GUNICORN_STOCK
    with store.engine() as engine:
        assert numbers(engine, 1) == (0, 0, GUNICORN_STOCK, 0)
        assert engine.audit().consistent


def test_the_sweeper_process(shop: Store) -> None:
    command = [sys.executable, str(EXAMPLES / "sweeper.py"), shop.url, "--every", "0.01"]
    with shop.engine(sweeper=False) as engine:
        hold = engine.create_hold(1, 2, ttl=0.2)
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ) as sweeper:
            try:
                # From the store: a read alone already reports it as expired.
                wait_until(
                    "the sweep",
                    lambda: any(event.kind == "hold.expired" for event in engine.events()),
                )
            finally:
                sweeper.send_signal(signal.SIGTERM)
                _, said = sweeper.communicate(timeout=WITHIN)
        assert b"1 holds expired, 0 orders cancelled" in said
        assert sweeper.returncode == 0
        assert engine.hold(hold.id).status is HoldStatus.EXPIRED
