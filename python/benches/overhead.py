"""The overhead of a call from Python, and the throughput of several threads.

Build it with optimisations first, as `pip install ./python` does, and with
`MATURIN_PEP517_ARGS="--features bench"` for the call that does nothing.
`--quick` only shows that it runs.

With `--store` the threads hold on that store, opened by this process and
through the socket of a running engine in turn. `--store servers` is a new
database and the Redis of the test kit:

    cargo run -p stockade-testkit -- run -- python python/benches/overhead.py --store servers
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from stockade import AsyncEngine, Engine, _native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STOCK = 2**31
ROUNDS = 5
IN_FLIGHT = 256
# The hook of a build with the cargo feature `bench`.
NOOP = "_noop"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parents[2] / "target"))


def best_of(times: int, call: Callable[[], object]) -> float:
    """Measure seconds per call: the best of some rounds, minus the loop's overhead."""

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
    """Measure the calls of one thread."""
    with Engine("sqlite::memory:", cache_ttl="1h") as engine:
        lamp = engine.create_product("Lamp", "19.99", STOCK).id
        engine.product(lamp)
        if (noop := getattr(engine, NOOP, None)) is not None:
            show("a call that does nothing", best_of(times, noop))
        show("a cached product", best_of(times, lambda: engine.product(lamp)))
        show("a hold, one caller", best_of(times // 20, lambda: engine.create_hold(lamp, 1)))


def threads(count: int, seconds: float, store: str, redis: str | None = None) -> float:
    """Measure holds per second of one product by so many threads."""
    with Engine(store, redis=redis) as engine:
        lamp = engine.create_product("Lamp", "19.99", STOCK).id
        made = [0] * count
        start = threading.Barrier(count + 1)
        stop = threading.Event()

        def buy(number: int) -> None:
            start.wait()
            while not stop.is_set():
                engine.create_hold(lamp, 1)
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
        return sum(made) / (time.perf_counter() - began)


def test_kits_servers() -> tuple[str, str]:
    """Create a database on the servers that `stockade-testkit run --` started."""
    try:
        mariadb, redis = (os.environ[f"STOCKADE_TEST_{name}"] for name in ("MARIADB", "REDIS"))
    except KeyError as missing:
        raise SystemExit(f"{missing} is not set: run it by `stockade-testkit run --`") from None
    name = f"overhead_{uuid.uuid4().hex}"
    client = ["mariadb", "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root"]
    sql = f"CREATE DATABASE {name} CHARACTER SET utf8mb4"
    subprocess.run([*client, f"--port={mariadb}", f"--execute={sql}"], check=True)
    return f"mysql://root@127.0.0.1:{mariadb}/{name}", f"redis://127.0.0.1:{redis}"


@contextlib.contextmanager
def served(store: str, redis: str | None) -> Iterator[str]:
    """Run an engine in a child process, built like this module, and yield its URL."""
    program = TARGET / ("release" if _native.RELEASE_BUILD else "debug") / "stockade"
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "stockade.sock"
        flags = ["--listen=", "--no-seed", f"--unix={socket}", f"--store={store}"]
        if redis is not None:
            flags.append(f"--redis={redis}")
        # The kernel kills it when this process dies.
        command = ["setpriv", "--pdeathsig", "KILL", "--", str(program), "serve", *flags]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
            try:
                if server.stdout is None or not server.stdout.readline():
                    raise SystemExit(f"{program} does not serve; is it built?")
                yield f"unix://{socket}"
            finally:
                server.terminate()


def direct_and_served(seconds: float, store: str, redis: str | None) -> None:
    """Compare threads on a store with threads on a running engine of that store."""
    with served(store, redis) as socket:
        for count in (1, 8):
            # Interleaved, so that drift affects both alike.
            direct, through = zip(
                *(
                    (threads(count, seconds, store, redis), threads(count, seconds, socket))
                    for _ in range(ROUNDS)
                ),
                strict=True,
            )
            show(f"holds of one product, {count} threads, direct", 1 / max(direct))
            show(f"holds of one product, {count} threads, socket", 1 / max(through))
            ratio = max(through) / max(direct)
            print(f"{'':<52} through the socket: {ratio:.2f} times the direct calls")


async def awaited(times: int) -> None:
    """Measure calls of one event loop."""
    async with AsyncEngine("sqlite::memory:", cache_ttl="1h") as engine:
        lamp = (await engine.create_product("Lamp", "19.99", STOCK)).id
        await engine.product(lamp)
        noop = getattr(engine, NOOP, None)
        for what, call in (
            ("a call that does nothing", noop),
            ("a cached product", lambda: engine.product(lamp)),
        ):
            if call is None:
                continue
            began = time.perf_counter()
            for _ in range(times):
                await call()
            show(f"awaited: {what}", (time.perf_counter() - began) / times)
        for in_flight in (1, IN_FLIGHT):
            rounds = max(times // 20 // in_flight, 1)
            began = time.perf_counter()
            for _ in range(rounds):
                await asyncio.gather(*(engine.create_hold(lamp, 1) for _ in range(in_flight)))
            took = time.perf_counter() - began
            show(f"awaited: holds, {in_flight} at once", took / rounds / in_flight)


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only show that it runs")
    parser.add_argument("--store", help="where threads hold: a URL, or `servers`")
    parser.add_argument("--redis", help="the Redis of that URL")
    given = parser.parse_args()
    if not _native.RELEASE_BUILD:
        print("built without optimisations: these figures say little")
    times, seconds = (2_000, 0.1) if given.quick else (200_000, 2.0)
    if given.store is not None:
        on_servers = given.store == "servers"
        store, redis = test_kits_servers() if on_servers else (given.store, given.redis)
        direct_and_served(seconds, store, redis)
        return
    single_calls(times)
    for count in (1, 8):
        rate = threads(count, seconds, "sqlite::memory:")
        show(f"holds of one product, {count} threads", 1 / rate)
    asyncio.run(awaited(times))


if __name__ == "__main__":
    main()
