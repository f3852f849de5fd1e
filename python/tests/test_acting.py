"""Handles that name who asks, and what a shop keeps with holds and orders."""

from __future__ import annotations

import gc
import weakref
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

import pytest

from stockade import (
    AsyncEngine,
    Engine,
    Event,
    EventKind,
    Hold,
    HoldRequest,
    HoldStatus,
    IdempotencyMismatchError,
    InsufficientStockError,
    InvalidArgumentError,
    MisuseError,
    OrderStatus,
    Outcome,
    PaymentStatus,
)

if TYPE_CHECKING:
    from conftest import Store


def events_of(engine: Engine, kind: EventKind) -> list[Event]:
    return [event for event in engine.events() if event.kind is kind]


def test_events_and_orders_name_who_asked(engine: Engine) -> None:
    clerk = engine.acting_as("warehouse/Ann \u00e4")
    lamp = clerk.create_product("Lamp", 10, 9).id
    with clerk.create_hold(lamp, 1):
        pass
    order = clerk.create_order(clerk.create_hold(lamp, 2))
    assert order.created_by == "warehouse/Ann \u00e4"
    assert engine.order(order.id).created_by == order.created_by
    assert {event.actor for event in engine.events()} == {order.created_by}
    last = list(engine.events())[-1].cursor

    # A handle of a handle has its own name, and the engine has none.
    clerk.acting_as("till").adjust_stock(lamp, -1, "broken")
    engine.create_hold(lamp, 1)
    engine.acting_as("shop").cancel_order(order.id, reason="by phone")
    found = [(event.kind, event.actor, event.reason) for event in engine.events(last)]
    assert found == [
        (EventKind.STOCK_ADJUSTED, "till", "broken"),
        (EventKind.HOLD_CREATED, None, None),
        (EventKind.ORDER_CANCELLED, "shop", "by phone"),
    ]


def test_what_nobody_asked_for_names_nobody() -> None:
    with Engine("sqlite::memory:", sweeper=False) as engine:
        clerk = engine.acting_as("clerk")
        lamp = clerk.create_product("Lamp", 10, 9).id
        clerk.create_hold(lamp, 1, ttl=timedelta(microseconds=1))
        assert clerk.sweep().holds_expired == 1
        (expired,) = events_of(engine, EventKind.HOLD_EXPIRED)
        assert expired.actor is None


@pytest.mark.parametrize("name", ["", "a\nb", "\x00", "x" * 256, "\u00e4" * 128])
async def test_invalid_names_are_rejected(memory: Engine, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="1 to 255 bytes"):
        memory.acting_as(name)
    async with AsyncEngine("sqlite::memory:") as engine:
        with pytest.raises(InvalidArgumentError, match="1 to 255 bytes"):
            engine.acting_as(name)
    memory.acting_as("x" * 255).ping()


def test_only_closing_closes_the_engine(store: Store) -> None:
    with store.engine() as engine:
        with engine.acting_as("clerk") as clerk:
            clerk.ping()
        clerk.ping()
        assert not engine.closed
        del clerk
        gc.collect()
        engine.ping()
        clerk = engine.acting_as("clerk")
        clerk.close()
        assert (engine.closed, clerk.closed) == (True, True)
        for handle in (engine, clerk, engine.acting_as("till")):
            with pytest.raises(MisuseError, match="closed"):
                handle.ping()


def test_a_handle_outlives_its_engine_object(memory: Engine) -> None:
    def clerk_of_its_own() -> Engine:
        engine = Engine("sqlite::memory:")
        engine.create_product("Lamp", 10, 5)
        return engine.acting_as("clerk")

    clerk = clerk_of_its_own()
    gc.collect()
    assert clerk.products().items[0].in_stock == 5
    clerk.close()
    gone = weakref.ref(memory.acting_as("clerk"))
    gc.collect()
    assert gone() is None


class ShopEngine(Engine):
    """A class with arguments and attributes of its own."""

    made = 0

    def __new__(cls, name: str) -> Self:
        cls.made += 1
        return super().__new__(cls, "sqlite::memory:", redis_prefix=f"{name}:")

    def __init__(self, name: str) -> None:
        self.name = name


def test_a_handle_is_of_the_same_class_with_its_attributes() -> None:
    with ShopEngine("lamps") as engine:
        clerk = engine.acting_as("clerk")
        assert (type(clerk), clerk.name, ShopEngine.made) == (ShopEngine, "lamps", 1)
        clerk.name = "rugs"
        assert engine.name == "lamps"
        assert repr(clerk) == repr(engine)


async def test_an_async_handle_is_like_a_blocking_one(store: Store) -> None:
    unopened = store.async_engine()
    with pytest.raises(MisuseError, match="not open"):
        unopened.acting_as("clerk")
    async with store.async_engine() as engine:
        async with engine.acting_as("clerk") as clerk:
            assert isinstance(clerk, AsyncEngine)
            lamp = await clerk.create_product("Lamp", 10, 5)
            async with clerk.create_hold(lamp.id, 1, metadata={"shelf": 4}) as hold:
                order = await clerk.create_order(hold, metadata={"gift": True})
        assert hold.metadata == {"shelf": 4}
        assert (order.created_by, order.metadata) == ("clerk", {"gift": True})
        cart = await engine.create_holds({lamp.id: 1}, metadata='{"a": 1}')
        assert [one.metadata for one in cart] == [{"a": 1}]
        actors = [event.actor async for event in engine.events()]
        assert actors == ["clerk"] * 4 + [None]
        receipt = await engine.record_payment("paid", order_reference="2026-1")
        assert receipt.status is PaymentStatus.WAITING
        await clerk.close()
        assert engine.closed
        with pytest.raises(MisuseError, match="closed"):
            await engine.ping()


def test_holds_and_orders_keep_metadata(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, 20, sku="LAMP").id
    kept = {"table": 4, "ratio": 1.5, "name": "L\u00e4mp/1", "empty": {}, "big": 2**64}
    hold = engine.create_hold(lamp, 1, customer="ann", metadata=kept)
    assert hold.metadata == engine.hold(hold.id).metadata == kept
    assert engine.holds().items[0].metadata == kept
    cart = engine.create_holds({lamp: 2}, metadata=' {"a" : 1.10} ')
    assert [one.metadata for one in engine.cart(cart.id)] == [{"a": 1.1}]
    one, other = engine.create_hold_batch([HoldRequest(lamp, 1, metadata={}), (lamp, 1)])
    assert isinstance(one, Hold)
    assert isinstance(other, Hold)
    assert (one.metadata, other.metadata) == ({}, None)

    order = engine.create_order(hold, reference="2026-1", metadata={"gift": True})
    bare = engine.create_order(cart)
    assert (order.metadata, bare.metadata) == ({"gift": True}, None)
    assert engine.order_by_reference("2026-1").metadata == {"gift": True}
    assert engine.orders(customer="ann").items[0].metadata == {"gift": True}
    held = events_of(engine, EventKind.HOLD_CREATED)
    assert [event.metadata for event in held] == [kept, {"a": 1.1}, {}, None]
    ordered = events_of(engine, EventKind.ORDER_CREATED)
    found = [(event.reference, event.metadata) for event in ordered]
    assert found == [("2026-1", {"gift": True}), (None, None)]

    engine.erase_customer("ann")
    assert engine.hold(hold.id).metadata is None
    assert engine.order(order.id).metadata is None


def test_metadata_is_part_of_what_a_key_stands_for(memory: Engine) -> None:
    lamp = memory.create_product("Lamp", 10, 9).id
    first = memory.create_hold(lamp, 1, key="k", metadata={"a": 1})
    again = memory.create_hold(lamp, 1, key="k", metadata={"a": 1})
    assert (again, again.metadata, again.replayed) == (first, {"a": 1}, True)
    with pytest.raises(IdempotencyMismatchError):
        memory.create_hold(lamp, 1, key="k", metadata={"a": 2})


def test_a_refund_tells_its_reason(memory: Engine) -> None:
    lamp = memory.create_product("Lamp", 10, 9).id
    order = memory.create_order(memory.create_hold(lamp, 2), reference="2026-1")
    memory.record_payment("paid", order_id=order.id)
    memory.acting_as("clerk").refund_order(order.id, lines={1: 1}, reason="broken")
    (refunded,) = events_of(memory, EventKind.ORDER_REFUNDED)
    assert (refunded.reason, refunded.actor) == ("broken", "clerk")
    assert (refunded.reference, refunded.order_id) == ("2026-1", order.id)


def test_a_dispute_is_an_event_and_changes_nothing(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, 9).id
    order = engine.create_order(engine.create_hold(lamp, 2), reference="2026-1")
    engine.record_payment("paid", order_id=order.id)
    for word, key in ((Outcome.DISPUTED, "one"), ("chargeback", "two")):
        receipt = engine.record_payment(word, order_id=order.id, key=key)
        assert receipt.status is PaymentStatus.RECORDED
    assert engine.order(order.id).status is OrderStatus.PAID
    disputed = events_of(engine, EventKind.PAYMENT_DISPUTED)
    assert [(event.order_id, event.reference) for event in disputed] == [(order.id, "2026-1")] * 2


def test_a_payment_may_name_its_order_by_a_reference(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, 9).id
    early: list[dict[str, Any]] = [
        {"order_reference": "2026-1", "amount": 10, "currency": "EUR"},
        {"payment_reference": "stripe/pi_1"},
        {"order_reference": "2026-3"},
    ]
    for event in early:
        assert engine.record_payment("paid", **event).status is PaymentStatus.WAITING
    first, second, _ = engine.waiting_payments().items
    assert (first.order_id, first.order_reference, first.by_token) == (None, "2026-1", False)
    assert (first.amount, first.currency) == (Decimal(10), "EUR")
    assert (second.order_id, second.order_reference) == (None, None)
    assert second.payment_reference == "stripe/pi_1"

    order = engine.create_order(engine.create_hold(lamp, 1), reference="2026-1")
    assert order.status is OrderStatus.PAID
    order = engine.create_order(engine.create_hold(lamp, 1), reference="2026-2")
    assert order.status is OrderStatus.PENDING_PAYMENT
    tied = engine.set_payment_reference(order.id, "stripe", "pi_1")
    assert tied.status is OrderStatus.PAID
    assert [one.order_reference for one in engine.waiting_payments().items] == ["2026-3"]

    # The payment's order rather than that of the number.
    order = engine.create_order(engine.create_hold(lamp, 1), reference="2026-4")
    engine.set_payment_reference(order.id, "stripe", "pi_2")
    receipt = engine.record_payment(
        "paid", order_reference="2026-1", payment_reference="stripe/pi_2"
    )
    assert receipt.status is PaymentStatus.APPLIED
    assert engine.order(order.id).status is OrderStatus.PAID


def test_a_short_line_names_its_sku(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, 2, sku="LAMP").id
    rug = engine.create_product("Rug", 10, 1).id
    hold = engine.create_hold(lamp, 1)
    with pytest.raises(InsufficientStockError) as refused:
        engine.create_holds({lamp: 3, rug: 2})
    short = [(line.product_id, line.sku, line.available) for line in refused.value.short]
    assert short == [(lamp, "LAMP", 1), (rug, None, 1)]
    with pytest.raises(InsufficientStockError) as grown:
        engine.change_quantity(hold, 9)
    assert grown.value.short[0].sku == "LAMP"
    assert engine.hold(hold.id).status is HoldStatus.ACTIVE
