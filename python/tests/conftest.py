"""The stores of the tests, a fresh one per test."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from serving import end_all, flag, serve
from stockade import AsyncEngine, Engine, InsufficientStockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BACKENDS = ["sqlite_memory", "sqlite_file", "mariadb_redis", "socket"]
"""A backend without servers fails; nothing is skipped."""

WITHIN = 30.0
"""The timeout of an expected event, in seconds."""


class Store:
    """An empty store."""

    def __init__(self, url: str, settings: dict[str, Any] | None = None) -> None:
        self._url = url
        self.settings = settings or {}

    @property
    def url(self) -> str:
        return self._url

    def place(self, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the URL and the settings of an engine with these settings."""
        return self.url, {**self.settings, **settings}

    def engine(self, **settings: Any) -> Engine:
        url, own = self.place(settings)
        return Engine(url, **own)

    def async_engine(self, **settings: Any) -> AsyncEngine:
        url, own = self.place(settings)
        return AsyncEngine(url, **own)


class Served(Store):
    """A SQLite file served by running engines on Unix sockets.

    The settings of an engine are told to the server; one with others is another
    server on the same file.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(f"sqlite:{folder / 'shop.db'}")
        self._folder = folder
        self._urls: dict[tuple[str, ...], str] = {}

    @property
    def url(self) -> str:
        return self.place({})[0]

    def place(self, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        own = {name: value for name, value in settings.items() if name.startswith("remote_")}
        told = {name: value for name, value in settings.items() if name not in own}
        flags = tuple(flag(name, value) for name, value in told.items() if value is not None)
        if flags not in self._urls:
            socket = self._folder / f"{len(self._urls)}.sock"
            self._urls[flags] = serve(socket, f"--store={self._url}", *flags)
        return self._urls[flags], own


@pytest.fixture(autouse=True)
def served() -> Iterator[None]:
    """Stop the servers that a test started."""
    yield
    end_all()


def port(variable: str) -> str:
    found = os.environ.get(variable)
    if not found:
        pytest.fail(f"{variable} is not set: run the tests beside `stockade-testkit run`")
    return found


def mariadb_redis() -> Store:
    mariadb, redis = port("STOCKADE_TEST_MARIADB"), port("STOCKADE_TEST_REDIS")
    name = f"python_{uuid.uuid4().hex}"
    client = ["mariadb", "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root"]
    sql = f"CREATE DATABASE {name} CHARACTER SET utf8mb4"
    subprocess.run([*client, f"--port={mariadb}", f"--execute={sql}"], check=True)
    redis_settings = {"redis": f"redis://127.0.0.1:{redis}", "redis_prefix": f"{name}:"}
    return Store(f"mysql://root@127.0.0.1:{mariadb}/{name}", redis_settings)


def make_store(backend: str, folder: Path) -> Store:
    if backend == "mariadb_redis":
        return mariadb_redis()
    if backend == "sqlite_file":
        return Store(f"sqlite:{folder / 'shop.db'}")
    if backend == "socket":
        return Served(folder)
    return Store("sqlite::memory:")


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return make_store(request.param, tmp_path)


@pytest.fixture(params=["sqlite_file", "mariadb_redis", "socket"])
def shared_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store that several engines can open."""
    return make_store(request.param, tmp_path)


@pytest.fixture
def file_store(tmp_path: Path) -> Store:
    return make_store("sqlite_file", tmp_path)


@pytest.fixture
def engine(store: Store) -> Iterator[Engine]:
    with store.engine() as engine:
        yield engine
        assert engine.closed or engine.audit().consistent


@pytest.fixture
def memory() -> Iterator[Engine]:
    """An engine on an in-memory store, for store-independent tests."""
    with Engine("sqlite::memory:") as engine:
        yield engine


def wait_until(what: str, happened: Callable[[], object]) -> None:
    """Wait for a condition and fail on timeout."""
    end = time.monotonic() + WITHIN
    while not happened():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.005)


def requests(engine: Engine) -> int:
    """Count the requests that an engine sent to its store, or to a running engine."""
    names = ("stockade_requests_total ", "stockade_remote_call_seconds_count ")
    lines = engine.metrics_text().splitlines()
    return sum(int(float(line.split()[1])) for line in lines if line.startswith(names))


def numbers(engine: Engine, product_id: int) -> tuple[int, int, int, int]:
    """Return stock, held, pending and sold from the store."""
    found = engine.products(product_id - 1, 1).items[0]
    return found.stock, found.held, found.pending, found.sold


def buy_until_sold_out(engine: Engine, product_id: int) -> int:
    """Order single units until sold out and count them."""
    bought = 0
    while True:
        try:
            with engine.create_hold(product_id, 1) as hold:
                engine.create_order(hold)
        except InsufficientStockError:
            return bought
        bought += 1
