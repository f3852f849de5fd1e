"""Clocks that a test moves, and the fixtures of the pytest plugin."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest

from stockade import (
    AsyncEngine,
    Clock,
    Engine,
    EventKind,
    HoldStatus,
    InvalidArgumentError,
    MisuseError,
    OrderStatus,
)

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Store


def test_a_hold_that_ends_returns_its_units(stockade: Engine, stockade_clock: Clock) -> None:
    lamp = stockade.create_product("Lamp", "19.99", stock=5)
    hold = stockade.create_hold(lamp.id, 2, ttl=120)
    assert stockade.product(lamp.id).stock == 3
    stockade_clock.advance(119.999999)
    assert stockade.product(lamp.id).stock == 3
    assert stockade.clock.advance(timedelta(microseconds=1)) == hold.expires_at
    assert stockade.product(lamp.id).stock == 5
    assert stockade.hold(hold.id).status is HoldStatus.EXPIRED
    assert [event.kind for event in stockade.events()][-1] is EventKind.HOLD_EXPIRED
    assert stockade.audit().consistent


class TestSettings:
    @pytest.fixture
    def stockade_settings(self) -> dict[str, Any]:
        return {"payment_ttl": "10m"}

    def test_an_order_that_is_not_paid_is_cancelled(self, stockade: Engine) -> None:
        lamp = stockade.create_product("Lamp", "19.99", stock=5)
        order = stockade.create_order(stockade.create_hold(lamp.id, 2))
        stockade.clock.advance("9m 59s")
        assert stockade.order(order.id).status is OrderStatus.PENDING_PAYMENT
        now = stockade.clock.advance(1)
        cancelled = stockade.order(order.id)
        assert (cancelled.status, cancelled.updated_at) == (OrderStatus.CANCELLED, now)
        assert stockade.product(lamp.id).stock == 5


def test_the_clock_stands_still_until_it_is_moved(stockade_clock: Clock) -> None:
    now = stockade_clock.now()
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=5)
    assert stockade_clock.advance(0) == now
    assert stockade_clock.advance(timedelta(days=400)) == now + timedelta(days=400)


@pytest.mark.parametrize(
    "by", [-1, float("nan"), 1e300, 10**30, "soon", True, None, [], timedelta(days=-1), 4e8]
)
def test_a_move_that_is_refused_moves_nothing(stockade_clock: Clock, by: Any) -> None:
    now = stockade_clock.now()
    with pytest.raises(InvalidArgumentError):
        stockade_clock.advance(by)
    assert stockade_clock.now() == now


def test_the_clock_of_a_store_is_not_moved(store: Store) -> None:
    with store.engine() as engine, pytest.raises(MisuseError, match="clock=manual"):
        engine.clock.advance(1)


def test_only_a_store_in_memory_takes_a_manual_clock(file_store: Store) -> None:
    with pytest.raises(InvalidArgumentError, match="sqlite::memory:"):
        file_store.engine(clock="manual")


async def test_an_async_engine_moves_its_clock(stockade_async: AsyncEngine) -> None:
    lamp = await stockade_async.create_product("Lamp", "19.99", stock=5)
    hold = await stockade_async.create_hold(lamp.id, 2, ttl=120)
    assert (await stockade_async.product(lamp.id)).stock == 3
    assert await stockade_async.clock.advance(120) == hold.expires_at
    assert (await stockade_async.product(lamp.id)).stock == 5
    assert await stockade_async.clock.now() == hold.expires_at


async def test_an_async_engine_may_be_closed_by_its_test(stockade_async: AsyncEngine) -> None:
    async with stockade_async as engine:
        await engine.ping()
    with pytest.raises(MisuseError):
        await stockade_async.clock.advance(1)


def test_pytest_loads_the_plugin_without_the_engine() -> None:
    points = metadata.distribution("stockade").entry_points
    (plugin,) = points.select(group="pytest11")
    code = f"import sys, {plugin.value}; print([n for n in sys.modules if 'stockade' in n])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "['pytest_stockade']\n"


def test_the_package_needs_no_pytest() -> None:
    needed = metadata.requires("stockade") or []
    assert all("extra ==" in requirement for requirement in needed), needed
    code = "import sys, stockade; sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_shop_finds_the_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(
        "def test_shop(stockade, stockade_clock):\n"
        "    stockade_clock.advance(60)\n"
        "    assert stockade.products().items == ()\n"
    )
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "test_shop.py"], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
