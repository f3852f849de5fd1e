"""Context managers of holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conftest import numbers, requests
from stockade import (
    AsyncEngine,
    Engine,
    HoldStatus,
    InsufficientStockError,
    MisuseError,
    OrderStatus,
)

if TYPE_CHECKING:
    from conftest import Store


class OutOfPaperError(Exception):
    """An error of the application."""


def test_an_ordered_hold_is_kept(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, 5)
    with engine.create_hold(lamp.id, 2) as hold:
        assert numbers(engine, lamp.id) == (3, 2, 0, 0)
        order = engine.create_order(hold)
    assert engine.order(order.id).status is OrderStatus.PENDING_PAYMENT
    # Even if another process ordered it.
    with engine.create_hold(lamp.id, 1) as hold:
        engine.create_order(hold.id, lamp.id)
    assert numbers(engine, lamp.id) == (2, 0, 3, 0)


def test_an_ordered_hold_is_not_released(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, 5)
    with engine.create_hold(lamp.id, 2) as hold:
        engine.create_order(hold)
        before = requests(engine)
    assert requests(engine) == before


def test_a_hold_not_ordered_is_released(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, 5)
    with engine.create_hold(lamp.id, 2) as hold:
        pass
    assert engine.hold(hold.id).status is HoldStatus.RELEASED
    with pytest.raises(OutOfPaperError), engine.create_hold(lamp.id, 2) as hold:
        raise OutOfPaperError
    assert engine.hold(hold.id).status is HoldStatus.RELEASED
    with engine.create_hold(lamp.id, 2) as hold:
        engine.release_hold(hold)
    assert numbers(engine, lamp.id) == (5, 0, 0, 0)


def test_an_error_after_the_order_keeps_the_order(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, 5)
    with pytest.raises(OutOfPaperError), engine.create_hold(lamp.id, 2) as hold:
        engine.create_order(hold)
        raise OutOfPaperError
    assert numbers(engine, lamp.id) == (3, 0, 2, 0)


def test_a_cart_releases_what_was_not_ordered(engine: Engine) -> None:
    lamp, desk = engine.create_product("Lamp", 10, 5), engine.create_product("Desk", 90, 5)
    with engine.create_holds({lamp.id: 1, desk.id: 2}) as cart:
        engine.create_order(cart.holds[0])
    assert numbers(engine, lamp.id) == (4, 0, 1, 0)
    assert numbers(engine, desk.id) == (5, 0, 0, 0)


def test_a_failed_release_hides_no_error(memory: Engine) -> None:
    lamp = memory.create_product("Lamp", 10, 5)
    with pytest.raises(OutOfPaperError) as raised, memory.create_hold(lamp.id, 2):
        memory.close()
        raise OutOfPaperError
    assert "could not be released" in raised.value.__notes__[0]


def test_a_failed_release_is_reported() -> None:
    with Engine("sqlite::memory:") as engine:
        lamp = engine.create_product("Lamp", 10, 5)
        with pytest.raises(MisuseError), engine.create_hold(lamp.id, 2):
            engine.close()


async def test_blocks_of_asyncio(store: Store) -> None:
    async with store.async_engine() as engine:
        lamp = await engine.create_product("Lamp", 10, 5)
        async with engine.create_hold(lamp.id, 2) as hold:
            order = await engine.create_order(hold)
        assert (await engine.order(order.id)).status is OrderStatus.PENDING_PAYMENT
        async with engine.create_hold(lamp.id, 1) as hold:
            await engine.create_order(hold.id, lamp.id)
        async with engine.create_hold(lamp.id, 1) as hold:
            pass
        assert (await engine.hold(hold.id)).status is HoldStatus.RELEASED
        with pytest.raises(OutOfPaperError):
            async with engine.create_holds({lamp.id: 2}) as cart:
                raise OutOfPaperError
        assert (await engine.hold(cart.holds[0].id)).status is HoldStatus.RELEASED
        with pytest.raises(InsufficientStockError):
            async with engine.create_hold(lamp.id, 3):
                pytest.fail("there is not so much")
        assert (await engine.audit()).units.held == 0


async def test_a_failed_release_hides_no_error_in_asyncio() -> None:
    engine = await AsyncEngine.open("sqlite::memory:")
    lamp = await engine.create_product("Lamp", 10, 5)
    with pytest.raises(OutOfPaperError) as raised:
        async with engine.create_hold(lamp.id, 2):
            await engine.close()
            raise OutOfPaperError
    assert "could not be released" in raised.value.__notes__[0]


async def test_a_hold_of_an_async_engine_is_no_plain_block() -> None:
    async with AsyncEngine("sqlite::memory:") as engine:
        lamp = await engine.create_product("Lamp", 10, 5)
        with pytest.raises(MisuseError, match="async with"), await engine.create_hold(lamp.id, 2):
            pass
