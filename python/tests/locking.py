"""Blocks a call for as long as a test needs."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Store
    from stockade import AsyncEngine, Engine


LOCKER = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
other.rollback()
"""


@contextlib.contextmanager
def locked(store: Store) -> Iterator[None]:
    """Hold the write lock of a SQLite file: writers wait.

    Another process keeps it, since SQLite's locks do not keep two copies of
    SQLite in one process apart.
    """
    path = store.url.removeprefix("sqlite:")
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as locker:
        assert locker.stdin is not None
        assert locker.stdout is not None
        try:
            assert locker.stdout.readline() == b"locked\n"
            yield
        finally:
            locker.stdin.close()
            locker.wait()


def gauge(engine: Engine | AsyncEngine, name: str) -> int:
    """Read one metric of the engine."""
    for line in engine.metrics_text().splitlines():
        if line.startswith(f"{name} "):
            return int(float(line.split()[1]))
    raise LookupError(name)


def queued(engine: Engine | AsyncEngine) -> int:
    """Count the queued requests."""
    return gauge(engine, "stockade_queue_depth")
