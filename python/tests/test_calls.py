"""Every call of the engine, once per store."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from conftest import numbers, requests
from stockade import (
    Engine,
    EventKind,
    Hold,
    HoldRequest,
    HoldStatus,
    IdempotencyMismatchError,
    InsufficientStockError,
    InvalidArgumentError,
    MisuseError,
    NotFoundError,
    OrderStatus,
    Outcome,
    PaymentDisposition,
    PaymentStatus,
    UnavailableError,
)

if TYPE_CHECKING:
    from conftest import Store


def test_a_unit_is_held_ordered_and_sold(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", Decimal("19.99"), 5)
    assert (lamp.name, lamp.price, lamp.stock, lamp.received) == ("Lamp", Decimal("19.99"), 5, 5)

    hold = engine.create_hold(lamp.id, 2, ttl=60)
    assert (hold.product_id, hold.quantity, hold.status) == (lamp.id, 2, HoldStatus.ACTIVE)
    assert hold.expires_at - hold.created_at == timedelta(seconds=60)
    assert hold.expires_at.tzinfo is UTC
    assert abs(hold.created_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert engine.hold(hold.id) == replace(hold, token="")

    order = engine.create_order(hold)
    assert (order.hold_id, order.status) == (hold.id, OrderStatus.PENDING_PAYMENT)
    assert order.payment_disposition is PaymentDisposition.NONE
    assert engine.order(order.id) == replace(order, payment_token="")
    assert engine.hold(hold.id).status is HoldStatus.CONVERTED

    receipt = engine.record_payment(Outcome.SUCCESS, payment_token=order.payment_token, key="evt-1")
    assert (receipt.status, receipt.replayed) == (PaymentStatus.APPLIED, False)
    assert engine.record_payment("success", payment_token=order.payment_token, key="evt-1").replayed
    assert engine.order(order.id).status is OrderStatus.PAID
    assert numbers(engine, lamp.id) == (3, 0, 0, 2)


def test_an_order_by_id_needs_its_product(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, 5)
    hold = engine.create_hold(lamp.id, 1)
    with pytest.raises(ValueError, match="product_id"):
        engine.create_order(hold.id)
    assert engine.create_order(hold.id, lamp.id, key="o-1").hold_id == hold.id
    assert engine.create_order(hold.id, lamp.id, key="o-1").replayed


def test_a_cart_is_all_or_nothing(engine: Engine) -> None:
    lamp, desk = engine.create_product("Lamp", 10, 5), engine.create_product("Desk", 90, 1)
    cart = engine.create_holds({desk.id: 1, lamp.id: 2}, key="cart-1", ttl=timedelta(minutes=1))
    assert [(hold.product_id, hold.quantity) for hold in cart] == [(lamp.id, 2), (desk.id, 1)]
    assert len(cart) == 2
    again = engine.create_holds([(lamp.id, 1), (desk.id, 1), (lamp.id, 1)], key="cart-1", ttl=60)
    assert again == cart
    assert (cart.replayed, again.replayed) == (False, True)
    with pytest.raises(InsufficientStockError) as refused:
        engine.create_holds([(lamp.id, 4), (desk.id, 1)])
    assert [(line.product_id, line.available) for line in refused.value.short] == [
        (lamp.id, 3),
        (desk.id, 0),
    ]
    assert refused.value.available is None
    assert numbers(engine, lamp.id) == (3, 2, 0, 0)


def test_a_batch_has_a_hold_or_an_error_for_each_request(engine: Engine) -> None:
    lamp, desk = engine.create_product("Lamp", 10, 5), engine.create_product("Desk", 90, 1)
    requests: list[HoldRequest | tuple[int, int] | list[int]] = [
        HoldRequest(lamp.id, 2, ttl=60, key="batch-1"),
        (desk.id, 1),
        HoldRequest(str(lamp.id), "0"),
        [desk.id, 1],
        (10**12, 1),
        HoldRequest(lamp.id, 2, ttl=timedelta(minutes=1), key="batch-1", customer=None),
        HoldRequest(lamp.id, 1, customer="ann"),
    ]
    results = engine.create_hold_batch(requests)
    first, second, zero, short, unknown, again, third = results
    assert isinstance(first, Hold)
    assert isinstance(second, Hold)
    assert isinstance(third, Hold)
    assert (first.product_id, first.quantity, first.replayed) == (lamp.id, 2, False)
    assert first.expires_at - first.created_at == timedelta(minutes=1)
    assert second.product_id == desk.id
    assert isinstance(zero, InvalidArgumentError)
    assert isinstance(short, InsufficientStockError)
    assert (short.available, [line.product_id for line in short.short]) == (0, [desk.id])
    assert isinstance(unknown, NotFoundError)
    assert again == first
    assert isinstance(again, Hold)
    assert again.replayed
    assert numbers(engine, lamp.id) == (2, 3, 0, 0)
    # A hold of a batch is one as any other.
    with first, second:
        engine.create_order(first)
    assert numbers(engine, lamp.id) == (2, 1, 2, 0)
    assert numbers(engine, desk.id) == (1, 0, 0, 0)
    assert engine.create_hold_batch([]) == []
    assert pickle.loads(pickle.dumps(results[:3]))[0] == first


def test_a_hold_is_extended_and_released(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, 5)
    hold = engine.create_hold(lamp.id, 1, ttl=60)
    longer = engine.extend_hold(hold, timedelta(minutes=5))
    assert longer.expires_at > hold.expires_at
    assert engine.extend_hold(hold.id).expires_at == longer.expires_at
    assert engine.release_hold(hold.id).status is HoldStatus.RELEASED
    assert engine.release_hold(hold).status is HoldStatus.RELEASED


def test_stock_is_received_and_written_off(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10)
    assert lamp.stock == 0
    assert engine.adjust_stock(lamp.id, 7, "delivery").stock == 7
    assert engine.adjust_stock(lamp.id, -2).stock == 5
    with pytest.raises(InsufficientStockError):
        engine.adjust_stock(lamp.id, -6, "breakage")


def test_a_key_creates_a_product_once(engine: Engine) -> None:
    rug = engine.create_product("Rug", 1, 2, key="import-7")
    assert engine.create_product("Rug", 1, 2, key="import-7") == rug
    with pytest.raises(IdempotencyMismatchError):
        engine.create_product("Rug", 1, 3, key="import-7")


def test_a_sweep_expires_due_holds(store: Store) -> None:
    with store.engine(sweeper=False) as engine:
        lamp = engine.create_product("Lamp", 10, 5)
        hold = engine.create_hold(lamp.id, 2, ttl=timedelta(microseconds=1))
        # It has expired by the time of the next transaction.
        assert engine.hold(hold.id).status is HoldStatus.EXPIRED
        report = engine.sweep()
        assert (report.holds_expired, report.orders_cancelled) == (1, 0)
        assert engine.audit().consistent


def test_products_and_events_are_read_in_pages(engine: Engine) -> None:
    ids = [engine.create_product(f"Lamp {n}", n + 1, n).id for n in range(5)]
    page = engine.products(limit=2)
    assert [product.id for product in page.items] == ids[:2]
    assert page.next == ids[1]
    assert [product.id for product in engine.iter_products(page=2)] == ids
    assert [product.id for product in engine.iter_products(ids[3], page=1)] == ids[4:]

    holds = [engine.create_hold(ids[4], 1) for _ in range(3)]
    events = [event for event in engine.events(page=2) if event.product_id == ids[4]]
    assert [event.kind for event in events] == [
        EventKind.PRODUCT_CREATED,
        EventKind.STOCK_ADJUSTED,
        *[EventKind.HOLD_CREATED] * 3,
    ]
    assert [event.hold_id for event in events[2:]] == [hold.id for hold in holds]
    assert list(engine.events(events[-1].cursor)) == []


def test_events_are_followed(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 1, 5)
    events = engine.events(follow=True, every=0.01, page=1)
    assert [next(events).kind for _ in range(2)] == [
        EventKind.PRODUCT_CREATED,
        EventKind.STOCK_ADJUSTED,
    ]
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, events)
        hold = engine.create_hold(lamp.id, 1)
        assert following.result(timeout=30).hold_id == hold.id


def test_an_audit_counts_every_unit(engine: Engine) -> None:
    lamp = engine.create_product("Lamp", 10, 5)
    engine.create_hold(lamp.id, 2)
    engine.record_payment("paid", order_id=10**12, key="early")
    report = engine.audit()
    assert report.consistent
    assert (report.products, report.findings, report.waiting_events) == (1, (), 1)
    assert report.oldest_waiting_event is not None
    assert (report.units.received, report.units.stock, report.units.held) == (5, 3, 2)


def test_metrics_and_ping(engine: Engine) -> None:
    engine.ping()
    lamp = engine.create_product("Lamp", 10, 1)
    before = requests(engine)
    engine.create_hold(lamp.id, 1)
    assert requests(engine) == before + 1


def test_a_closed_engine_refuses_calls(store: Store) -> None:
    engine = store.engine()
    assert not engine.closed
    engine.close()
    engine.close()
    assert engine.closed
    with pytest.raises(MisuseError):
        engine.product(1)
    with pytest.raises(MisuseError):
        engine.create_hold_batch([])


def test_unknown_ids_are_not_found(engine: Engine) -> None:
    for call in (
        engine.product,
        engine.hold,
        engine.order,
        engine.release_hold,
        engine.extend_hold,
    ):
        with pytest.raises(NotFoundError):
            call(4711)
        with pytest.raises(LookupError):
            call(2**70)


def test_an_unreachable_store_is_unavailable() -> None:
    with pytest.raises(UnavailableError) as refused:
        Engine("mysql://root@127.0.0.1:1/shop")
    assert refused.value.retry_after == 2.0
