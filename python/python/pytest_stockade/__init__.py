"""The pytest plugin of Stockade: an engine in memory for each test, whose clock it moves.

    def test_a_hold_that_ends_returns_its_units(stockade, stockade_clock):
        lamp = stockade.create_product("Lamp", "19.99", stock=5)
        stockade.create_hold(lamp.id, 2, ttl=120)
        stockade_clock.advance(120)
        assert stockade.product(lamp.id).stock == 5

pytest loads the plugin of every installed package in every run. This module is therefore
outside of the package `stockade`, and imports it only where a test asks for a fixture.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from stockade import AsyncEngine, Clock, Engine


@pytest.fixture
def stockade_settings() -> dict[str, Any]:
    """Return the engine's settings; override it to set others, such as `hold_ttl`."""
    return {}


@pytest.fixture
def stockade(stockade_settings: dict[str, Any]) -> Iterator[Engine]:
    """Open an engine on `sqlite::memory:` whose clock stands still; it is closed after the test."""
    from stockade import Engine  # noqa: PLC0415 only where a test uses it

    with Engine("sqlite::memory:", **{"clock": "manual", **stockade_settings}) as engine:
        yield engine


@pytest.fixture
def stockade_clock(stockade: Engine) -> Clock:
    """Return the clock of the fixture `stockade`: `advance` moves it."""
    return stockade.clock


@pytest.fixture
def stockade_async(stockade_settings: dict[str, Any]) -> Iterator[AsyncEngine]:
    """Open the engine of a coroutine; `await stockade_async.clock.advance(…)` moves its clock."""
    from stockade import AsyncEngine  # noqa: PLC0415 only where a test uses it

    engine = AsyncEngine("sqlite::memory:", **{"clock": "manual", **stockade_settings})
    _complete(engine._open())  # noqa: SLF001 of the same package
    yield engine
    if not engine.closed:
        _complete(engine.close())


def _complete(call: Awaitable[object]) -> None:
    """Await a call outside of the test's event loop, which is any plugin's and not running."""

    async def wait() -> None:
        await call

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(wait())
    finally:
        loop.close()
