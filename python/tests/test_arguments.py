"""Accepted and rejected arguments."""

from __future__ import annotations

import itertools
import tracemalloc
from collections import UserList
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from conftest import numbers
from stockade import Engine, Hold, HoldRequest, InvalidArgumentError, StockadeError


def type_name(value: object) -> str:
    """Name a test: some numbers cannot be formatted."""
    return type(value).__name__


@pytest.fixture
def lamp(memory: Engine) -> int:
    return memory.create_product("Lamp", 10, 50).id


@pytest.mark.parametrize("bad", [0, -1, 1.5, 2**32, "2abc", "1.5", "", " 1", None, [1]])
def test_invalid_quantities_are_rejected(memory: Engine, lamp: int, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="quantity"):
        memory.create_hold(lamp, bad)
    assert memory.product(lamp).held == 0


@pytest.mark.parametrize("bad", [-1, 1.0, "abc", "1e3", "", None, object()])
def test_invalid_ids_are_rejected(memory: Engine, bad: Any) -> None:
    for call in (memory.product, memory.hold, memory.order, memory.release_hold):
        with pytest.raises(InvalidArgumentError):
            call(bad)


def test_numbers_may_be_the_text_of_a_request(memory: Engine, lamp: int) -> None:
    hold = memory.create_hold(str(lamp), "2")
    assert hold.quantity == 2
    assert memory.create_order(str(hold.id), str(lamp)).hold_id == hold.id


@pytest.mark.parametrize("ttl", [60, 60.0, "60", "60s", "1m", timedelta(minutes=1)])
def test_a_minute_can_be_said_in_many_ways(memory: Engine, lamp: int, ttl: Any) -> None:
    hold = memory.create_hold(lamp, 1, ttl=ttl)
    assert hold.expires_at - hold.created_at == timedelta(minutes=1)


BAD_DURATIONS = [0, -1, 86401, -0.5, float("nan"), float("inf"), "", "soon", "-1s", []]


@pytest.mark.parametrize("ttl", [*BAD_DURATIONS, timedelta(0), timedelta(seconds=-1)])
def test_invalid_durations_are_rejected(memory: Engine, lamp: int, ttl: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        memory.create_hold(lamp, 1, ttl=ttl)


def test_an_invalid_payment_ttl_is_named(memory: Engine, lamp: int) -> None:
    hold = memory.create_hold(lamp, 1)
    with pytest.raises(InvalidArgumentError, match=r"^payment_ttl "):
        memory.create_order(hold, payment_ttl=[])  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="payment_ttl must be"):
        memory.create_order(hold, payment_ttl=0)


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
def test_invalid_prices_are_rejected(memory: Engine, price: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        memory.create_product("Lamp", price)


def test_other_invalid_numbers_are_rejected(memory: Engine, lamp: int) -> None:
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


def test_invalid_carts_are_rejected(memory: Engine, lamp: int) -> None:
    for bad in ([], {}, [(lamp, 0)], [(lamp, -1)], {"x": 1}):
        with pytest.raises(InvalidArgumentError):
            memory.create_holds(bad)
    for other in (
        5,
        None,
        "12",
        b"12",
        [lamp],
        [(lamp,)],
        [(lamp, 1, 1)],
        ["12"],
        [None],
        [{1, 2}],
    ):
        with pytest.raises(InvalidArgumentError, match="items"):
            memory.create_holds(other)  # type: ignore[arg-type]
    for endless in (itertools.repeat((lamp, 1)), [(lamp, 1)] * 70_000):
        with pytest.raises(InvalidArgumentError, match="items must be at most"):
            memory.create_holds(endless)


def test_an_invalid_request_of_a_batch_costs_only_itself(memory: Engine, lamp: int) -> None:
    bad: list[Any] = [
        *((lamp, quantity) for quantity in (0, -1, 1.5, True, 2**32, "2abc", None, [1])),
        *((product, 1) for product in (-1, 1.0, "1e3", None, object())),
        *(HoldRequest(lamp, 1, ttl=ttl) for ttl in (0, -1, True, "soon", 1e300)),
        *(HoldRequest(lamp, 1, key=key) for key in ("", "a\tb", "\ud800", "k" * 256)),
        *(HoldRequest(lamp, 1, customer=customer) for customer in ("", "\ud800", "c" * 256)),
        *(HoldRequest(lamp, 1, metadata=kept) for kept in ("[]", {1: {2}}, {"a": "x" * 4096}, 5)),  # type: ignore[arg-type]
    ]
    # Each between two that are valid.
    results = memory.create_hold_batch(itertools.chain(*((one, (lamp, 1)) for one in bad)))
    for wrong, result in zip(bad, results[::2], strict=True):
        assert isinstance(result, InvalidArgumentError), wrong
        assert len(str(result)) < 200
    assert all(isinstance(result, Hold) for result in results[1::2])
    assert numbers(memory, lamp) == (50 - len(bad), len(bad), 0, 0)


@pytest.mark.parametrize(
    "request_",
    [None, 5, "12", b"12", (1,), (1, 1, 1), {1, 2}, HoldRequest, [(1, 1)]],
    ids=type_name,
)
def test_what_is_no_request_of_a_batch_is_a_type_error(
    memory: Engine, lamp: int, request_: Any
) -> None:
    with pytest.raises(TypeError, match=r"requests\[1\] must be a HoldRequest"):
        memory.create_hold_batch([(lamp, 1), request_])
    for text in ({"key": 5}, {"customer": b"ann"}):
        with pytest.raises(TypeError, match="must be a str or None"):
            memory.create_hold_batch([HoldRequest(lamp, 1, **text)])
    for other in (5, None):
        with pytest.raises(TypeError, match="iterable"):
            memory.create_hold_batch(other)  # type: ignore[arg-type]
    assert numbers(memory, lamp) == (50, 0, 0, 0)


def test_a_batch_has_an_end(memory: Engine, lamp: int) -> None:
    with pytest.raises(InvalidArgumentError, match="requests must be at most"):
        memory.create_hold_batch(itertools.repeat((lamp, 1)))

    def requests() -> Any:
        yield lamp, 1
        raise KeyError(lamp)

    with pytest.raises(KeyError):
        memory.create_hold_batch(requests())
    assert numbers(memory, lamp) == (50, 0, 0, 0)


@pytest.mark.parametrize("make", [tuple, list, UserList])
def test_a_cart_is_pairs_of_any_kind(memory: Engine, lamp: int, make: Any) -> None:
    other = memory.create_product("Shade", "5", 9).id
    cart = memory.create_holds(make([make([lamp, 1]), make([str(other), "2"])]))
    assert [(hold.product_id, hold.quantity) for hold in cart] == [(lamp, 1), (other, 2)]
    memory.create_holds({lamp: 1, other: 2}.items())
    memory.create_holds({str(lamp): "1"})


def test_an_error_of_the_callers_own_iterator_is_passed_on(memory: Engine, lamp: int) -> None:
    def lines() -> Any:
        yield lamp, 1
        raise KeyError(lamp)

    with pytest.raises(KeyError):
        memory.create_holds(lines())


NO_NUMBERS: list[Any] = [True, False, 1.5, 2.0, 10**5000, -(10**5000), "1\n2", float("nan")]


@pytest.mark.parametrize("bad", NO_NUMBERS, ids=type_name)
def test_a_refusal_names_its_argument_in_one_short_line(
    memory: Engine, lamp: int, bad: Any
) -> None:
    calls: dict[str, list[Any]] = {
        "quantity": [
            lambda: memory.create_hold(lamp, bad),
            lambda: memory.create_holds({lamp: bad}),
        ],
        "product_id": [lambda: memory.create_hold(bad, 1), lambda: memory.product(bad)],
        "hold_id": [lambda: memory.release_hold(bad), lambda: memory.hold(bad)],
        "order_id": [lambda: memory.order(bad)],
        "id must": [lambda: memory.create_product("Pin", 1, id=bad)],
        "safety_stock": [
            lambda: memory.create_product("Pin", 1, safety_stock=bad),
            lambda: memory.change_product(lamp, safety_stock=bad),
        ],
        "to must": [lambda: memory.adjust_stock(lamp, to=bad)],
        "version": [lambda: memory.put_product(lamp, "Pin", 1, version=bad)],
        "stock": [lambda: memory.create_product("Pin", 1, bad)],
        "delta": [lambda: memory.adjust_stock(lamp, bad)],
        "limit": [
            lambda: memory.products(limit=bad),
            lambda: memory.holds(limit=bad),
            lambda: memory.orders(limit=bad),
            lambda: memory.waiting_payments(limit=bad),
        ],
        "cursor": [lambda: memory.events_after(bad)],
    }
    for name, makes in calls.items():
        for make in makes:
            with pytest.raises(StockadeError) as error:
                make()
            message = str(error.value)
            if error.value.code == "not_found":
                # Exceeds every id.
                assert bad == 10**5000
                continue
            assert error.value.code == "invalid_argument"
            assert name in message
            assert len(message) < 200
            assert "\n" not in message
    assert numbers(memory, lamp) == (50, 0, 0, 0)


@pytest.mark.parametrize(
    "ttl",
    [True, 1e300, 10**400, "9" * 1000, b"60", [], timedelta(seconds=-1), float("nan")],
    ids=type_name,
)
def test_a_refused_ttl_is_named_in_one_short_line(memory: Engine, lamp: int, ttl: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="ttl") as error:
        memory.create_hold(lamp, 1, ttl=ttl)
    assert len(str(error.value)) < 200


class Float32:
    """Like NumPy's floats: not a subclass of float."""

    def __float__(self) -> float:
        return 19.99

    def __str__(self) -> str:
        return "19.99"


class Int64:
    """Like NumPy's integers: not a subclass of int."""

    def __index__(self) -> int:
        return 20


@pytest.mark.parametrize(
    "price",
    [
        Decimal("1E+100000000"),
        Decimal("1E-100000000"),
        Decimal("0E+100000000"),
        Decimal("-1E+100000000"),
        Decimal("Infinity"),
        Decimal("sNaN"),
        10**5000,
        -(10**5000),
        1e300,
        "1E+100000000",
        "1" * 100_000,
        Float32(),
        Fraction(1, 2),
        True,
        b"1",
    ],
    ids=type_name,
)
def test_no_price_costs_more_than_its_refusal(memory: Engine, price: Any) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidArgumentError, match="price") as error:
            memory.create_product("Lamp", price)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert len(str(error.value)) < 200


def test_whole_numbers_of_other_libraries_are_prices(memory: Engine) -> None:
    price: Any = Int64()
    assert memory.create_product("Lamp", price).price == 20


def test_invalid_payments_are_rejected(memory: Engine) -> None:
    with pytest.raises(InvalidArgumentError, match="order_reference or payment_reference"):
        memory.record_payment("success")
    for reference in ("", "a\0b", "x" * 256):
        with pytest.raises(InvalidArgumentError, match="reference"):
            memory.record_payment("success", order_reference=reference)
        with pytest.raises(InvalidArgumentError, match="payment_reference"):
            memory.record_payment("success", payment_reference=reference)
    with pytest.raises(InvalidArgumentError, match="status"):
        memory.record_payment("maybe", order_id=1)
    with pytest.raises(InvalidArgumentError, match="payment_token"):
        memory.record_payment("success", payment_token="pt_x")
    for bad in (5.5, "\ud800", [1], object(), Decimal("NaN")):
        with pytest.raises(InvalidArgumentError, match="amount"):
            memory.record_payment("success", order_id=1, amount=bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="currency"):
        memory.record_payment("success", order_id=1, amount=5, currency="EURO")


def test_an_amount_is_a_decimal_an_int_or_a_text(memory: Engine) -> None:
    memory.record_payment("paid", order_id=1, key="k", amount="20.00", currency="EUR")
    for like in (20, "20", Decimal(20), Decimal("2E1"), Int64()):
        amount: Any = like
        again = memory.record_payment("paid", order_id=1, key="k", amount=amount, currency="EUR")
        assert again.replayed


def test_an_order_takes_holds_ids_and_pairs(memory: Engine, lamp: int) -> None:
    cart = memory.create_holds({lamp: 1})
    assert memory.create_order(cart).hold_id == cart.holds[0].id
    one, two, three = (memory.create_hold(lamp, number) for number in (1, 2, 3))
    mixed: list[Any] = [one, str(two.id), (three.id, three.token)]
    order = memory.create_order(iter(mixed))
    assert [line.hold_id for line in order.lines] == [one.id, two.id, three.id]
    assert (order.hold_id, order.product_id, order.quantity) == (None, None, None)
    assert order.amount == sum(line.price * line.quantity for line in order.lines)
    rest = memory.create_hold(lamp, 1)
    bad: Any
    for bad in ([], [rest, rest], [(rest.id, "x")], [None], [[rest.id]], rest.id, b"1", None, {}):
        with pytest.raises(InvalidArgumentError):
            memory.create_order(bad)
    with pytest.raises(InvalidArgumentError, match="several holds"):
        memory.create_order([rest.id], lamp)
    with pytest.raises(InvalidArgumentError, match="several holds"):
        memory.create_order([rest.id], token=rest.token)
    assert memory.create_order(rest.id, lamp).quantity == 1


def test_a_refund_takes_a_mapping_or_pairs(memory: Engine, lamp: int) -> None:
    order = memory.create_order(memory.create_hold(lamp, 5))
    memory.record_payment("paid", order_id=order.id)
    lines: Any
    for lines in ({1: 1}, [(1, 1)], iter([[1, "1"]])):
        order = memory.refund_order(order.id, lines=lines)
    assert order.lines[0].returned == 3
    for lines in ([], {}, {1: 0}, [(1, 1), (1, 1)], [1], 5, {True: 1}, {1: 1.0}):
        with pytest.raises(InvalidArgumentError):
            memory.refund_order(order.id, lines=lines)
        with pytest.raises(InvalidArgumentError):
            memory.restock_order(order.id, lines=lines)
    assert memory.restock_order(order.id, lines={1: 2}).lines[0].returned == 1


def test_other_types_are_type_errors(memory: Engine, lamp: int) -> None:
    for other in (5, None, b"clerk"):
        with pytest.raises(TypeError):
            memory.acting_as(other)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="str"):
            Engine(other)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        memory.record_payment("paid", order_reference=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        memory.create_hold(lamp, 1, key=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        memory.create_hold(lamp, 1, "60s")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        memory.create_product(5, 10)  # type: ignore[arg-type]
