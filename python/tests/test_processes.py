"""Forks and processes."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from conftest import WITHIN, buy_until_sold_out, numbers
from stockade import AsyncEngine, Engine, MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Store

STOCK = 40

# Newer interpreters warn about forks in threaded processes, which are tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def in_fork(work: Callable[[], object]) -> None:
    """Run a function in a forked child and propagate its failure."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 a child must not run the parent's tests
            traceback.print_exc()
        finally:
            os._exit(status)
    try:
        _, ended = os.waitpid(child, 0)
    except BaseException:
        # The child hangs: timed out.
        os.kill(child, signal.SIGKILL)
        raise
    assert os.waitstatus_to_exitcode(ended) == 0


def test_an_engine_opened_before_a_fork_raises_misuse(store: Store) -> None:
    engines = [store.engine()]
    lamp = engines[0].create_product("Lamp", 10, 5)
    hold = engines[0].create_hold(lamp.id, 1)
    clerks = [engines[0].acting_as("clerk")]

    def child() -> None:
        engine, clerk = engines.pop(), clerks.pop()
        calls: list[Callable[[], object]] = [
            lambda: engine.create_hold(lamp.id, 1),
            lambda: engine.product(lamp.id),
            lambda: engine.release_hold(hold),
            lambda: engine.acting_as("clerk"),
            clerk.ping,
            engine.ping,
            engine.metrics_text,
            engine.close,
        ]
        for call in calls:
            with pytest.raises(MisuseError, match="fork"):
                call()
        with engine:
            pass

    # When the child exits the engine is dropped there, which must not
    # block.
    in_fork(child)
    with engines[0] as engine:
        engine.create_order(hold)
        assert numbers(engine, lamp.id) == (4, 0, 1, 0)


async def test_an_async_engine_opened_before_a_fork_raises_misuse(store: Store) -> None:
    async with store.async_engine() as engine:
        waiting = engine.ping()

        async def started() -> None:
            await waiting

        def child() -> None:
            with pytest.raises(MisuseError, match="fork"):
                engine.ping()
            with pytest.raises(MisuseError, match="fork"):
                asyncio.run(started())

        in_fork(child)
        await waiting


def test_a_child_opens_an_engine_of_its_own(tmp_path: Any, memory: Engine) -> None:
    memory.ping()

    async def awaited() -> None:
        async with AsyncEngine("sqlite::memory:") as engine:
            await engine.ping()

    def child() -> None:
        with Engine(f"sqlite:{tmp_path / 'child.db'}") as engine:
            lamp = engine.create_product("Lamp", 10, 5)
            engine.create_hold(lamp.id, 1)
            in_fork(lambda: Engine("sqlite::memory:").close())
        asyncio.run(awaited())

    in_fork(child)
    memory.ping()


@pytest.mark.timeout(120)
def test_a_child_never_hangs_on_what_other_threads_did_in_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'parent.db'}"
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            Engine("sqlite::memory:").close()

    def child() -> None:
        # A hanging child is killed by this signal.
        signal.alarm(45)
        with pytest.raises(MisuseError, match="open in the parent at the fork"):
            Engine(url)
        with contextlib.suppress(MisuseError), Engine("sqlite::memory:") as engine:
            assert engine.create_product("Lamp", 10, 5).stock == 5

    threads = [threading.Thread(target=work) for _ in range(3)]
    with Engine(url) as engine:
        for thread in threads:
            thread.start()
        try:
            for _ in range(4):
                in_fork(child)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        engine.ping()


def test_children_draw_other_secrets_than_each_other_and_their_parent(tmp_path: Path) -> None:
    def draw() -> tuple[str, str]:
        with Engine("sqlite::memory:") as engine:
            hold = engine.create_hold(engine.create_product("Lamp", 10, 5).id, 1)
            return hold.token, engine.create_order(hold).payment_token

    told = tmp_path / "told"

    def child() -> None:
        with told.open("a") as tell:
            print(*draw(), file=tell)

    # From here on the parent has a random generator, which children copy.
    draw()
    in_fork(child)
    in_fork(child)
    secrets = [*told.read_text().split(), *draw()]
    assert len(secrets) == len(set(secrets)) == 6


def test_a_child_exits_normally() -> None:
    script = (
        "import os, stockade\n"
        "engine = stockade.Engine('sqlite::memory:')\n"
        "engine.ping()\n"
        "child = os.fork()\n"
        "if child:\n"
        "    _, ended = os.waitpid(child, 0)\n"
        "    raise SystemExit(os.waitstatus_to_exitcode(ended))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=WITHIN)


def buy(url: str, settings: dict[str, Any], product_id: int) -> int:
    """Buy with an engine of this process."""
    with Engine(url, **settings) as engine:
        return buy_until_sold_out(engine, product_id)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_processes_sell_a_product_out_exactly(shared_store: Store, method: str) -> None:
    with shared_store.engine() as engine:
        lamp = engine.create_product("Lamp", 10, STOCK)
    buyer = (shared_store.url, shared_store.settings, lamp.id)
    with multiprocessing.get_context(method).Pool(4) as pool:
        bought = pool.starmap(buy, [buyer] * 4, chunksize=1)
    assert sum(bought) == STOCK
    with shared_store.engine() as engine:
        assert numbers(engine, lamp.id) == (0, 0, STOCK, 0)
        assert engine.audit().consistent
