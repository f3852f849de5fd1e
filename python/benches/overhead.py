"""What a call costs in Python, and what several threads reach together.

Build it with optimisations first, as `pip install ./python` does. `--quick`
only shows that it runs.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
import time
from typing import TYPE_CHECKING

from stockade import AsyncEngine, Engine, _native

if TYPE_CHECKING:
    from collections.abc import Callable

STOCK = 2**31
ROUNDS = 5
IN_FLIGHT = 256


def best_of(times: int, call: Callable[[], object]) -> float:
    """Measure seconds a call: the best of some rounds, less the loop's own."""

    def loop(work: Callable[[], object]) -> float:
        began = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - began) / times

    nothing = min(loop(lambda: None) for _ in range(ROUNDS))
    return min(loop(call) for _ in range(ROUNDS)) - nothing


def show(what: str, seconds: float) -> None:
    """Print one line of figures."""
    print(f"{what:<52} {seconds * 1e6:10.2f} µs {1 / seconds:12,.0f} /s")


def single_calls(times: int) -> None:
    """Measure calls of one thread."""
    with Engine("sqlite::memory:", cache_ttl="1h") as engine:
        lamp = engine.create_product("Lamp", "19.99", STOCK).id
        engine.product(lamp)
        show("a call that does nothing", best_of(times, engine._noop))
        show("a cached product", best_of(times, lambda: engine.product(lamp)))
        show("a hold, one caller", best_of(times // 20, lambda: engine.hold(lamp, 1)))


def threads(count: int, seconds: float) -> None:
    """Measure holds of one product by so many threads."""
    with Engine("sqlite::memory:") as engine:
        lamp = engine.create_product("Lamp", "19.99", STOCK).id
        made = [0] * count
        start = threading.Barrier(count + 1)
        stop = threading.Event()

        def buy(number: int) -> None:
            start.wait()
            while not stop.is_set():
                engine.hold(lamp, 1)
                made[number] += 1

        buyers = [threading.Thread(target=buy, args=(number,)) for number in range(count)]
        for buyer in buyers:
            buyer.start()
        start.wait()
        began = time.perf_counter()
        stop.wait(seconds)
        stop.set()
        for buyer in buyers:
            buyer.join()
        show(f"holds of one product, {count} threads", (time.perf_counter() - began) / sum(made))


async def awaited(times: int) -> None:
    """Measure calls of one event loop."""
    async with AsyncEngine("sqlite::memory:", cache_ttl="1h") as engine:
        lamp = (await engine.create_product("Lamp", "19.99", STOCK)).id
        await engine.product(lamp)
        for what, call in (
            ("a call that does nothing", engine._noop),
            ("a cached product", lambda: engine.product(lamp)),
        ):
            began = time.perf_counter()
            for _ in range(times):
                await call()
            show(f"awaited: {what}", (time.perf_counter() - began) / times)
        for in_flight in (1, IN_FLIGHT):
            rounds = max(times // 20 // in_flight, 1)
            began = time.perf_counter()
            for _ in range(rounds):
                await asyncio.gather(*(engine.hold(lamp, 1) for _ in range(in_flight)))
            took = time.perf_counter() - began
            show(f"awaited: holds, {in_flight} at once", took / rounds / in_flight)


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only show that it runs")
    quick = parser.parse_args().quick
    if not _native.RELEASE_BUILD:
        print("built without optimisations: these figures say little")
    times, seconds = (2_000, 0.1) if quick else (200_000, 2.0)
    single_calls(times)
    for count in (1, 8):
        threads(count, seconds)
    asyncio.run(awaited(times))


if __name__ == "__main__":
    main()
