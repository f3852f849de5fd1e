"""The examples and the README's code, run as they stand."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import doctest
import importlib
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
from stockade import HoldStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Store

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
GUNICORN_STOCK = 60


def shown_in(readme: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)


SHOWN = [*shown_in(ROOT / "README.md"), *shown_in(ROOT.parent / "README.md")]


def test_the_readme_has_examples() -> None:
    assert len(SHOWN) >= 2


@pytest.mark.parametrize("code", SHOWN)
def test_what_a_readme_shows_runs(code: str, tmp_path: Path) -> None:
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
    """A shop with one product, where the examples look for it."""
    with file_store.engine() as engine:
        engine.create_product("Lamp", "19.99", 5)
    monkeypatch.setenv("STOCKADE_STORE", file_store.url)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return file_store


async def test_the_fastapi_app(shop: Store) -> None:
    module = importlib.import_module("fastapi_app")
    app = module.app
    transport = httpx.ASGITransport(app)
    client = httpx.AsyncClient(transport=transport, base_url="http://shop")
    async with app.router.lifespan_context(app), client:
        assert (await client.get("/products/1")).json() == {"id": 1, "price": "19.99", "stock": 5}
        keyed = {"Idempotency-Key": "cart-1"}
        held = await client.post("/holds/1/2", headers=keyed)
        assert held.status_code == 200
        assert (await client.post("/holds/1/2", headers=keyed)).json() == held.json()
        order = (await client.post(f"/orders/{held.json()['id']}/1")).json()
        paid = {"status": "paid", "payment_token": order["payment_token"], "key": "evt-1"}
        assert (await client.post("/payments/webhook", json=paid)).json() == {"message": "ok"}
        assert (await client.post("/checkout", json={"items": {"1": 1}})).json() == {"orders": [2]}

        refused = await client.post("/holds/1/3")
        assert (refused.status_code, refused.json()["available"]) == (409, 2)
        assert refused.headers["content-type"] == "application/problem+json"
        assert (await client.post("/holds/1/2abc")).status_code == 422
        assert (await client.get("/products/9")).json()["code"] == "not_found"
    with shop.engine() as engine:
        assert numbers(engine, 1) == (2, 0, 1, 2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def web_server(port: int, *command: str) -> Iterator[str]:
    """Run a web server that is a Python module, and answer its URL."""
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


def test_the_django_views(shop: Store) -> None:
    module: Any = importlib.import_module("django_shop")
    django: Any = importlib.import_module("django")
    django.setup()
    client = importlib.import_module("django.test").Client()
    module.settings.STOCKADE["store"] = shop.url
    module.engine.cache_clear()
    try:
        assert client.get("/products/1").json() == {"id": 1, "price": "19.99", "stock": 5}
        bought = client.post("/products/1/buy", {"quantity": 2}, "application/json")
        assert bought.status_code == 201
        paid = {"status": "paid", "payment_token": bought.json()["payment_token"], "key": "e-1"}
        assert client.post("/payments/webhook", paid, "application/json").status_code == 200
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
        hold = engine.hold(1, 2, ttl=0.2)
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ) as sweeper:
            try:
                # As the store has it: a read alone would count it as dead at its end.
                wait_until(
                    "the sweep",
                    lambda: any(event.kind == "hold.expired" for event in engine.iter_events()),
                )
            finally:
                sweeper.send_signal(signal.SIGTERM)
                _, said = sweeper.communicate(timeout=WITHIN)
        assert b"1 holds expired, 0 orders cancelled" in said
        assert sweeper.returncode == 0
        assert engine.get_hold(hold.id).status is HoldStatus.EXPIRED
