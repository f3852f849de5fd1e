"""Whose hold it is: tokens and customers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conftest import numbers
from stockade import HoldStatus, InvalidArgumentError, QuantityLimitError, UnauthorizedError

if TYPE_CHECKING:
    from conftest import Store


def test_a_hold_brings_its_token_along(store: Store) -> None:
    with store.engine(require_hold_token=True) as engine:
        lamp = engine.create_product("Lamp", 10, 9)
        with engine.create_hold(lamp.id, 1) as kept:
            engine.extend_hold(kept, 300)
            engine.create_order(kept)
        with engine.create_hold(lamp.id, 1) as given_back:
            pass
        assert engine.hold(given_back.id).status is HoldStatus.RELEASED
        with engine.create_holds({lamp.id: 1}) as cart:
            pass
        assert engine.hold(cart.holds[0].id).status is HoldStatus.RELEASED
        assert numbers(engine, lamp.id) == (8, 0, 1, 0)


def test_without_its_token_a_hold_is_not_used(store: Store) -> None:
    with store.engine(require_hold_token=True) as engine:
        lamp = engine.create_product("Lamp", 10, 9)
        hold, other = engine.create_hold(lamp.id, 1), engine.create_hold(lamp.id, 1)
        with pytest.raises(UnauthorizedError):
            engine.create_order(hold.id, lamp.id)
        with pytest.raises(UnauthorizedError):
            engine.extend_hold(hold.id)
        with pytest.raises(UnauthorizedError):
            engine.release_hold(hold.id)
        # One that is given goes before the hold's own.
        with pytest.raises(UnauthorizedError):
            engine.release_hold(hold, token=other.token)
        with pytest.raises(InvalidArgumentError):
            engine.release_hold(hold, token="mine")
        assert engine.hold(hold.id) == replace(hold, token="")
        engine.extend_hold(hold.id, token=hold.token)
        engine.create_order(hold.id, lamp.id, token=hold.token)
        engine.release_hold(other.id, token=other.token)
        assert numbers(engine, lamp.id) == (8, 0, 1, 0)


async def test_a_hold_brings_its_token_along_in_asyncio(store: Store) -> None:
    async with store.async_engine(require_hold_token=True) as engine:
        lamp = await engine.create_product("Lamp", 10, 9)
        async with engine.create_hold(lamp.id, 1) as kept:
            await engine.create_order(kept)
        async with engine.create_hold(lamp.id, 1) as given_back:
            with pytest.raises(UnauthorizedError):
                await engine.release_hold(given_back.id)
        assert (await engine.hold(given_back.id)).status is HoldStatus.RELEASED


def test_holds_count_for_their_customer(store: Store) -> None:
    with store.engine(max_per_customer=2) as engine:
        lamp = engine.create_product("Lamp", 10, 9)
        with engine.create_hold(lamp.id, 1, customer="ann"):
            engine.create_holds({lamp.id: 1}, customer="ann")
            with pytest.raises(QuantityLimitError, match="this one holds 2 "):
                engine.create_hold(lamp.id, 1, customer="ann")
            engine.create_hold(lamp.id, 2, customer="bob")
            engine.create_hold(lamp.id, 3)
        engine.create_hold(lamp.id, 1, customer="ann")
        assert numbers(engine, lamp.id) == (2, 7, 0, 0)
