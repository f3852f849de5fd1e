"""Whose hold it is: tokens and customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conftest import numbers
from stockade import HoldStatus, InvalidArgumentError, QuantityLimitError, UnauthorizedError

if TYPE_CHECKING:
    from conftest import Store


def test_a_hold_brings_its_token_along(store: Store) -> None:
    with store.engine(require_hold_token=True) as engine:
        lamp = engine.create_product("Lamp", 10, 9)
        with engine.hold(lamp.id, 1) as kept:
            engine.extend(kept, 300)
            engine.order(kept)
        with engine.hold(lamp.id, 1) as given_back:
            pass
        assert engine.get_hold(given_back.id).status is HoldStatus.RELEASED
        with engine.hold_many({lamp.id: 1}) as cart:
            pass
        assert engine.get_hold(cart.holds[0].id).status is HoldStatus.RELEASED
        assert numbers(engine, lamp.id) == (8, 0, 1, 0)


def test_without_its_token_a_hold_is_not_used(store: Store) -> None:
    with store.engine(require_hold_token=True) as engine:
        lamp = engine.create_product("Lamp", 10, 9)
        hold, other = engine.hold(lamp.id, 1), engine.hold(lamp.id, 1)
        with pytest.raises(UnauthorizedError):
            engine.order(hold.id, lamp.id)
        with pytest.raises(UnauthorizedError):
            engine.extend(hold.id)
        with pytest.raises(UnauthorizedError):
            engine.release(hold.id)
        # One that is given goes before the hold's own.
        with pytest.raises(UnauthorizedError):
            engine.release(hold, token=other.token)
        with pytest.raises(InvalidArgumentError):
            engine.release(hold, token="mine")
        assert engine.get_hold(hold.id) == hold
        engine.extend(hold.id, token=hold.token)
        engine.order(hold.id, lamp.id, token=hold.token)
        engine.release(other.id, token=other.token)
        assert numbers(engine, lamp.id) == (8, 0, 1, 0)


async def test_a_hold_brings_its_token_along_in_asyncio(store: Store) -> None:
    async with store.async_engine(require_hold_token=True) as engine:
        lamp = await engine.create_product("Lamp", 10, 9)
        async with engine.hold(lamp.id, 1) as kept:
            await engine.order(kept)
        async with engine.hold(lamp.id, 1) as given_back:
            with pytest.raises(UnauthorizedError):
                await engine.release(given_back.id)
        assert (await engine.get_hold(given_back.id)).status is HoldStatus.RELEASED


def test_holds_count_for_their_customer(store: Store) -> None:
    with store.engine(max_per_customer=2) as engine:
        lamp = engine.create_product("Lamp", 10, 9)
        with engine.hold(lamp.id, 1, customer="ann"):
            engine.hold_many({lamp.id: 1}, customer="ann")
            with pytest.raises(QuantityLimitError, match="this one holds 2 "):
                engine.hold(lamp.id, 1, customer="ann")
            engine.hold(lamp.id, 2, customer="bob")
            engine.hold(lamp.id, 3)
        engine.hold(lamp.id, 1, customer="ann")
        assert numbers(engine, lamp.id) == (2, 7, 0, 0)
