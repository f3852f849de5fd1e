"""What arguments may be, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from stockade import Engine, InvalidArgumentError


@pytest.fixture
def lamp(memory: Engine) -> int:
    return memory.create_product("Lamp", 10, 50).id


@pytest.mark.parametrize("bad", [0, -1, 1.5, 2**32, "2abc", "1.5", "", " 1", None, [1]])
def test_no_quantity(memory: Engine, lamp: int, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="quantity"):
        memory.hold(lamp, bad)
    assert memory.product(lamp).held == 0


@pytest.mark.parametrize("bad", [-1, 1.0, "abc", "1e3", "", None, object()])
def test_no_id(memory: Engine, bad: Any) -> None:
    for call in (memory.product, memory.get_hold, memory.get_order, memory.release):
        with pytest.raises(InvalidArgumentError):
            call(bad)


def test_numbers_may_be_the_text_of_a_request(memory: Engine, lamp: int) -> None:
    hold = memory.hold(str(lamp), "2")
    assert hold.qty == 2
    assert memory.order(str(hold.id), str(lamp)).hold_id == hold.id


@pytest.mark.parametrize("ttl", [60, 60.0, "60", "60s", "1m", timedelta(minutes=1)])
def test_a_minute_can_be_said_in_many_ways(memory: Engine, lamp: int, ttl: Any) -> None:
    hold = memory.hold(lamp, 1, ttl=ttl)
    assert hold.expires_at - hold.created_at == timedelta(minutes=1)


BAD_DURATIONS = [0, -1, 86401, -0.5, float("nan"), float("inf"), "", "soon", "-1s", []]


@pytest.mark.parametrize("ttl", [*BAD_DURATIONS, timedelta(0), timedelta(seconds=-1)])
def test_no_duration(memory: Engine, lamp: int, ttl: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        memory.hold(lamp, 1, ttl=ttl)


@pytest.mark.parametrize(
    ("price", "kept"),
    [
        (Decimal("19.99"), "19.99"),
        (Decimal("2E+2"), "200.00"),
        (Decimal("0.50"), "0.50"),
        (200, "200.00"),
        ("19.9", "19.90"),
        ("92233720368547758.07", "92233720368547758.07"),
    ],
)
def test_prices_are_exact(memory: Engine, price: Any, kept: str) -> None:
    found = memory.create_product("Lamp", price).price
    assert found == Decimal(kept)
    assert str(found) == kept


@pytest.mark.parametrize("price", [19.99, -1, Decimal("0.001"), Decimal("NaN"), "1e2", None])
def test_no_price(memory: Engine, price: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        memory.create_product("Lamp", price)


def test_no_other_numbers(memory: Engine, lamp: int) -> None:
    for bad in (0, 1001, -1, 2**40, 1.5, "x"):
        with pytest.raises(InvalidArgumentError):
            memory.products(limit=bad)  # type: ignore[arg-type]
    for bad in (0, 2**63, 0.5):
        with pytest.raises(InvalidArgumentError):
            memory.adjust_stock(lamp, bad)  # type: ignore[arg-type]
    for bad in (-1, 2**64):
        with pytest.raises(InvalidArgumentError):
            memory.create_product("Lamp", 10, bad)
        with pytest.raises(InvalidArgumentError):
            memory.events_after(bad)


def test_no_cart(memory: Engine, lamp: int) -> None:
    for bad in ([], {}, [(lamp, 0)], [(lamp, -1)], {"x": 1}):
        with pytest.raises(InvalidArgumentError):
            memory.hold_many(bad)  # type: ignore[arg-type]
    for other in (5, [lamp], [(lamp,)]):
        with pytest.raises((TypeError, ValueError)):
            memory.hold_many(other)  # type: ignore[arg-type]


def test_no_payment(memory: Engine) -> None:
    with pytest.raises(InvalidArgumentError, match="order_id or payment_token"):
        memory.payment("success")
    with pytest.raises(InvalidArgumentError, match="status"):
        memory.payment("maybe", order_id=1)
    with pytest.raises(InvalidArgumentError, match="payment_token"):
        memory.payment("success", payment_token="pt_x")
    with pytest.raises(TypeError):
        memory.payment("success", order_id=1, body=5)  # type: ignore[arg-type]


def test_a_body_is_bytes_or_text(memory: Engine) -> None:
    memory.payment("paid", order_id=1, key="k", body="{}")
    assert memory.payment("paid", order_id=1, key="k", body=b"{}").replayed


def test_other_types_are_type_errors(memory: Engine, lamp: int) -> None:
    with pytest.raises(TypeError):
        memory.hold(lamp, 1, key=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        memory.hold(lamp, 1, "60s")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        memory.create_product(5, 10)  # type: ignore[arg-type]
