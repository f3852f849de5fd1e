"""Threads share an engine, and a call that waits lets them run."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from conftest import buy_until_sold_out, numbers, wait_until
from locking import locked, queued

if TYPE_CHECKING:
    from concurrent.futures import Future

    from conftest import Store
    from stockade import Engine, Hold

THREADS = 8
STOCK = 300


def test_threads_sell_a_product_out_exactly(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, STOCK)
    start = threading.Barrier(THREADS)

    def buy() -> int:
        start.wait()
        return buy_until_sold_out(engine, lamp.id)

    with ThreadPoolExecutor(THREADS) as pool:
        bought = [pool.submit(buy) for _ in range(THREADS)]
    assert sum(part.result() for part in bought) == STOCK
    assert numbers(engine, lamp.id) == (0, 0, STOCK, 0)


def crowd(pool: ThreadPoolExecutor, engine: Engine, product_id: int) -> list[Future[Hold]]:
    """Have threads hold a unit each, until one of them must wait in the queue."""
    holds = []
    while not queued(engine):
        holds.append(pool.submit(engine.create_hold, product_id, 1))
        time.sleep(0.01)
    return holds


def test_a_call_that_waits_lets_other_threads_run(file_store: Store) -> None:
    with file_store.engine(lock_wait="30s", store_timeout="40s") as engine:
        lamp = engine.create_product("Lamp", 10, STOCK)
        with ThreadPoolExecutor() as pool:
            with locked(file_store):
                # This thread runs while those that it starts wait.
                held = crowd(pool, engine, lamp.id)
            assert {hold.result().quantity for hold in held} == {1}
        assert numbers(engine, lamp.id) == (STOCK - len(held), len(held), 0, 0)


def test_ctrl_c_ends_the_waiting(file_store: Store) -> None:
    waits = threading.Event()

    def on_signal(*_: object) -> None:
        if waits.is_set():
            waits.clear()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        with file_store.engine(lock_wait="30s", store_timeout="40s") as engine:
            interrupt_a_call_that_waits(file_store, engine, waits)
    finally:
        signal.signal(signal.SIGINT, before)


def interrupt_a_call_that_waits(store: Store, engine: Engine, waits: threading.Event) -> None:
    """Interrupt this thread in a call, by signals that count while `waits` is set."""
    lamp = engine.create_product("Lamp", 10, STOCK)
    main = threading.main_thread().ident
    assert main is not None

    def interrupt(others: int) -> None:
        wait_until("one more waits", lambda: waits.is_set() and queued(engine) > others)
        # On a busy machine one of the crowd may have come late, and this call later.
        while waits.is_set():
            signal.pthread_kill(main, signal.SIGINT)
            time.sleep(0.05)

    # On a busy machine the crowd may take all of a pool's threads.
    with ThreadPoolExecutor() as pool, ThreadPoolExecutor(1) as interrupter:
        with locked(store):
            held = crowd(pool, engine, lamp.id)
            interrupted = interrupter.submit(interrupt, queued(engine))
            with pytest.raises(KeyboardInterrupt):
                waits.set()
                engine.create_hold(lamp.id, 7)
            interrupted.result()
        assert {hold.result().quantity for hold in held} == {1}
    # What was given up was never taken up.
    assert numbers(engine, lamp.id) == (STOCK - len(held), len(held), 0, 0)
