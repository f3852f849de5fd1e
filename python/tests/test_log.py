"""The engine's log in `logging`."""

from __future__ import annotations

import logging
import queue
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conftest import WITHIN
from stockade import AsyncEngine, Engine

if TYPE_CHECKING:
    from collections.abc import Iterator


class Records(logging.Handler):
    """Keeps the records until a test takes them."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: queue.Queue[logging.LogRecord] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.arrived.put(record)

    def next_with(self, text: str) -> logging.LogRecord:
        while True:
            record = self.arrived.get(timeout=WITHIN)
            if text in record.getMessage():
                return record


@pytest.fixture
def records() -> Iterator[Records]:
    logger = logging.getLogger("stockade")
    handler = Records()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


def test_what_the_engine_logs_arrives(records: Records) -> None:
    with Engine("sqlite::memory:") as engine:
        lamp = engine.create_product("Lamp", "19.99", stock=5)
        engine.adjust_stock(lamp.id, 3, reason="found 100% more\nin a box")
        record = records.next_with("adjusted stock")
    assert record.levelno == logging.INFO
    assert record.name == "stockade.local.products"
    assert "delta=3" in record.getMessage()
    assert r"100% more\nin" in record.getMessage()


async def test_an_asyncio_engine_logs_as_well(records: Records) -> None:
    async with AsyncEngine("sqlite::memory:") as engine:
        lamp = await engine.create_product("Lamp", "19.99", stock=5)
        await engine.adjust_stock(lamp.id, 4, reason="counted")
    assert "delta=4" in records.next_with("adjusted stock").getMessage()


def test_a_filter_that_raises_does_not_end_the_log(records: Records) -> None:
    logger = logging.getLogger("stockade.local.products")

    def fail(record: logging.LogRecord) -> bool:
        raise ValueError(record.name)

    with Engine("sqlite::memory:") as engine:
        lamp = engine.create_product("Lamp", "19.99", stock=5)
        logger.addFilter(fail)
        try:
            engine.adjust_stock(lamp.id, 1, reason="lost")
            cancelled = engine.create_order(engine.create_hold(lamp.id, 1))
            engine.cancel_order(cancelled.id, reason="changed their mind")
            # Of another part of the engine, written later by the same thread.
            records.next_with("cancelled an order")
        finally:
            logger.removeFilter(fail)
        engine.adjust_stock(lamp.id, 2, reason="found")
    assert "delta=2" in records.next_with("adjusted stock").getMessage()


PROGRAM = """
import logging, os, sys
from stockade import Engine
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(process)d %(message)s")

def adjust(stock):
    with Engine("sqlite::memory:") as engine:
        lamp = engine.create_product("Lamp", "19.99", stock=5)
        engine.adjust_stock(lamp.id, stock, reason="counted")

adjust(7)
if "fork" in sys.argv:
    child = os.fork()
    if child == 0:
        adjust(8)
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("mode", ["alone", "fork"])
def test_lines_of_the_last_moment_are_logged_also_in_a_forked_child(mode: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, mode]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN, check=False)
    assert ended.returncode == 0, ended.stderr
    lines = [line for line in ended.stdout.splitlines() if "adjusted stock" in line]
    deltas = ["delta=7", "delta=8"] if mode == "fork" else ["delta=7"]
    assert len(lines) == len(deltas), ended.stdout
    told = sorted(word for line in lines for word in line.split() if word.startswith("delta="))
    assert told == deltas
    assert len({line.split()[0] for line in lines}) == len(deltas)
