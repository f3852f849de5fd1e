"""Products as a shop knows them, lists, and waiting payments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from stockade import (
    AlreadyExistsError,
    AsyncEngine,
    CartLine,
    Engine,
    EventKind,
    Hold,
    HoldRequest,
    HoldStatus,
    InvalidArgumentError,
    NotFoundError,
    NotOnSaleError,
    Outcome,
    PaymentDisposition,
    PutOutcome,
    PutProduct,
    StockadeError,
    VersionMismatchError,
)

FAR = datetime(2999, 1, 1, tzinfo=UTC)
PAST = datetime(2020, 1, 1, tzinfo=UTC)


def test_a_product_is_what_it_was_made_as(memory: Engine) -> None:
    metadata = {"shelf": 4, "ratio": 1.5, "name": "L\u00e4mp/1", "empty": {}, "big": 2**64}
    began = datetime(2020, 1, 1, 1, 0, 0, 500_000, tzinfo=timezone(timedelta(hours=1)))
    made = memory.create_product(
        "Lamp",
        Decimal("1.234"),
        9,
        id=700,
        sku="LAMP 1/\u00e4",
        currency="KWD",
        metadata=MappingProxyType(metadata),
        on_sale_from=began,
        on_sale_until="2999-01-01T00:00:00Z",
        safety_stock=2,
        key="import-1",
    )
    assert (made.id, made.sku, made.currency) == (700, "LAMP 1/\u00e4", "KWD")
    assert (str(made.price), made.stock, made.in_stock, made.safety_stock) == ("1.234", 7, 9, 2)
    assert (made.metadata, made.archived, made.received) == (metadata, False, 9)
    assert (made.on_sale_from, made.on_sale_until) == (began, FAR)
    assert memory.product("sku:LAMP 1/\u00e4") == made
    assert not made.replayed
    assert memory.change_product(700, metadata={}).metadata == {}
    assert memory.change_product(700, metadata=' {"a" : 1.10} ').metadata == {"a": 1.1}


def test_wherever_an_id_may_stand_a_sku_may(memory: Engine) -> None:
    lamp = memory.create_product("Lamp", 5, 20, sku="LAMP").id
    hold = memory.create_hold("sku:LAMP", 1, customer="ann")
    assert (hold.product_id, hold.sku, hold.customer) == (lamp, "LAMP", "ann")
    for items in ({"sku:LAMP": 2}, [("sku:LAMP", 1), (lamp, 1)], [CartLine("sku:LAMP", 2)]):
        cart = memory.create_holds(items)  # type: ignore[arg-type]
        assert [(one.product_id, one.quantity) for one in cart] == [(lamp, 2)]
    held, paired, missing = memory.create_hold_batch(
        [HoldRequest("sku:LAMP", 1), ("sku:LAMP", 1), HoldRequest("sku:MUG", 1)]
    )
    assert isinstance(held, Hold)
    assert isinstance(paired, Hold)
    assert isinstance(missing, NotFoundError)
    assert memory.create_order(hold.id, "sku:LAMP").product_id == lamp
    assert memory.adjust_stock("sku:LAMP", 5).in_stock == 16
    assert memory.adjust_stock("sku:LAMP", to=3, reason="count").in_stock == 3
    assert memory.put_product("sku:MUG", "Mug", 3, stock=1).created
    assert not memory.put_product("sku:MUG", "Mug", 3).created
    assert memory.product("sku:MUG").in_stock == 1
    for unknown in ("sku:lamp", "sku:LAMP "):
        with pytest.raises(NotFoundError):
            memory.product(unknown)


def test_a_change_keeps_clears_and_sets(memory: Engine) -> None:
    lamp = memory.create_product(
        "Lamp", 5, 9, sku="LAMP", metadata={"a": 1}, on_sale_from=PAST, on_sale_until=FAR
    )
    kept = memory.change_product("sku:LAMP", price="7.25", name="Lantern")
    assert (kept.name, kept.price, kept.sku, kept.metadata) == (
        "Lantern",
        Decimal("7.25"),
        "LAMP",
        {"a": 1},
    )
    assert (kept.on_sale_from, kept.on_sale_until) == (PAST, FAR)
    cleared = memory.change_product(
        lamp.id, sku=None, metadata=None, on_sale_from=None, on_sale_until=None
    )
    assert (cleared.sku, cleared.metadata) == (None, None)
    assert (cleared.on_sale_from, cleared.on_sale_until) == (None, None)
    changed = memory.change_product(
        lamp.id, sku="LAMP-2", safety_stock=4, stock=10, version=cleared.version
    )
    assert (changed.sku, changed.stock, changed.in_stock) == ("LAMP-2", 6, 10)
    with pytest.raises(VersionMismatchError):
        memory.change_product(lamp.id, name="Lamp", version=cleared.version)
    reasons = [event.reason for event in memory.events() if event.reason is not None]
    assert "import" in reasons


def test_an_error_names_the_product_and_the_moment(memory: Engine) -> None:
    lamp = memory.create_product("Lamp", 5, 9, sku="LAMP", on_sale_from=FAR)
    with pytest.raises(AlreadyExistsError) as taken:
        memory.create_product("Other", 5, sku="LAMP")
    assert (taken.value.product_id, taken.value.order_id) == (lamp.id, None)
    changes: list[tuple[dict[str, Any], str, datetime | None]] = [
        ({}, "before", FAR),
        ({"on_sale_from": None, "on_sale_until": PAST}, "since", PAST),
        ({"archived": True}, "archived", None),
    ]
    for change, why, moment in changes:
        memory.change_product("sku:LAMP", **change)
        with pytest.raises(NotOnSaleError) as refused:
            memory.create_hold(lamp.id, 1)
        found = refused.value
        assert (found.product_id, found.off_sale, found.moment) == (lamp.id, why, moment)
    memory.change_product(lamp.id, archived=False, on_sale_until=None)
    assert memory.create_hold(lamp.id, 1).quantity == 1


def test_a_product_that_cannot_be_put_costs_only_itself(memory: Engine) -> None:
    bad: list[Any] = [
        PutProduct("sku:B", "B", 1.5),  # type: ignore[arg-type]
        PutProduct("sku:C", "C", "1.555"),
        PutProduct(-1, "D", 1),
        PutProduct("sku:E", "E", 1, on_sale_from="soon"),
        PutProduct("sku:F", "F", 1, metadata="[]"),
        PutProduct("sku:G", "G", 1, stock=-1),
        PutProduct("sku:H", "", 1),
    ]
    results = memory.put_products(
        [PutProduct("sku:A", "A", "1.50", stock=3), *bad, PutProduct(900, "Z", 2, currency="JPY")]
    )
    assert len(results) == len(bad) + 2
    assert all(isinstance(result, InvalidArgumentError) for result in results[1:-1])
    first, last = results[0], results[-1]
    assert isinstance(first, PutOutcome)
    assert isinstance(last, PutOutcome)
    assert (first.created, first.product.sku, first.product.in_stock) == (True, "A", 3)
    assert (last.product.id, str(last.product.price), last.product.currency) == (900, "2", "JPY")
    assert memory.put_products([]) == []
    assert len(memory.products().items) == 2
    for other in ([("sku:A", "A", 1)], [None], [PutProduct("sku:A", None, 1)]):  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            memory.put_products(other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad", [[1], 5, "[]", "{", "", {"a": object()}, {"a": float("nan")}, b"{}"]
)
def test_invalid_metadata_is_rejected(memory: Engine, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="metadata"):
        memory.create_product("Lamp", 5, metadata=bad)
    hold = memory.create_hold(memory.create_product("Lamp", 5, 9).id, 1)
    with pytest.raises(InvalidArgumentError, match="metadata"):
        memory.create_hold(hold.product_id, 1, metadata=bad)
    with pytest.raises(InvalidArgumentError, match="metadata"):
        memory.create_holds({hold.product_id: 1}, metadata=bad)
    with pytest.raises(InvalidArgumentError, match="metadata"):
        memory.create_order(hold, metadata=bad)


@pytest.mark.parametrize(
    "bad", [5, "soon", "2026-11-27", FAR.replace(tzinfo=None), "1969-01-01T00:00:00Z", b"x", []]
)
def test_invalid_moments_are_rejected(memory: Engine, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="on_sale_from must be a datetime"):
        memory.create_product("Lamp", 5, on_sale_from=bad)
    with pytest.raises(InvalidArgumentError, match="created_before must be a datetime"):
        memory.holds(created_before=bad)


def test_invalid_names_of_products_are_rejected(memory: Engine) -> None:
    for bad in ("sku:", "SKU:a", "LAMP", "sku:" + "x" * 129, -1, 1.0, None, b"sku:a"):
        with pytest.raises(InvalidArgumentError):
            memory.product(bad)  # type: ignore[arg-type]
    for empty in ("", "x" * 129):
        with pytest.raises(InvalidArgumentError):
            memory.create_product("Lamp", 5, sku=empty)
    for none in (0, 2**53):
        with pytest.raises(InvalidArgumentError):
            memory.create_product("Lamp", 5, id=none)
    with pytest.raises(TypeError, match="sku must be a str"):
        memory.create_product("Lamp", 5, sku=5)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError):
        memory.adjust_stock(1)
    with pytest.raises(InvalidArgumentError):
        memory.adjust_stock(1, 1, to=1)
    for word in ("held", "", 5):
        with pytest.raises(InvalidArgumentError, match="status must be one of active, "):
            memory.holds(status=word)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="disposition must be one of none, "):
        memory.orders(disposition="refund")


def test_lists_show_no_token_and_have_an_end(memory: Engine) -> None:
    lamp = memory.create_product("Lamp", 5, 9, sku="LAMP").id
    holds = [memory.create_hold(lamp, 1, customer=name) for name in ("ann", "bob", "ann")]
    page = memory.holds(customer="ann", product_id="sku:LAMP", status=HoldStatus.ACTIVE, limit=1)
    (listed,) = page.items
    assert (listed.id, listed.token, listed.customer) == (holds[0].id, "", "ann")
    rest = memory.holds(customer="ann", after=page.next)
    assert ([one.id for one in rest.items], rest.next) == ([holds[2].id], None)
    assert len(list(memory.iter_holds(page=1, created_after=holds[1].created_at))) == 2
    assert len(memory.holds(created_before=holds[1].created_at).items) == 1
    assert memory.holds(status="expired").items == ()
    assert memory.release_hold(listed).status is HoldStatus.RELEASED

    order = memory.create_order(holds[2], reference="2026-1")
    memory.cancel_order(order.id)
    memory.record_payment("paid", order_id=order.id)
    (owed,) = memory.iter_orders(disposition=PaymentDisposition.NEEDS_REFUND)
    assert (owed.id, owed.payment_token, owed.customer) == (order.id, "", "ann")
    assert owed.lines[0].sku == "LAMP"
    assert memory.orders(reference="2026-2").items == ()
    assert len(memory.orders(status="cancelled", reference="2026-1").items) == 1

    erased = memory.erase_customer("ann")
    assert (erased.holds, erased.orders) == (2, 1)
    assert memory.orders(customer="ann").items == ()
    assert EventKind.CUSTOMER_ERASED in [event.kind for event in memory.events()]


def test_a_payment_that_waits_is_listed_and_taken_out(memory: Engine) -> None:
    facts: dict[str, Any] = {"amount": "19.90", "currency": "EUR", "payment_reference": "stripe/pi"}
    memory.record_payment("paid", order_id=7, key="one", **facts)
    memory.record_payment("failed", order_id=7, key="two")
    page = memory.waiting_payments(limit=1)
    (payment,) = page.items
    assert (payment.key, payment.order_id, payment.by_token) == ("one", 7, False)
    assert payment.order_reference is None
    assert (payment.outcome, payment.amount) == (Outcome.SUCCESS, Decimal("19.90"))
    assert (payment.currency, payment.payment_reference) == ("EUR", "stripe/pi")
    assert payment.received_at < payment.ends_at
    after = memory.waiting_payments(page.next)
    assert ([one.key for one in after.items], after.next) == (["two"], None)
    assert memory.remove_waiting_payment("one") == payment
    with pytest.raises(NotFoundError):
        memory.remove_waiting_payment("one")
    with pytest.raises(InvalidArgumentError):
        memory.waiting_payments("nowhere")


async def test_the_lists_of_an_async_engine_have_an_end() -> None:
    async with AsyncEngine("sqlite::memory:") as engine:
        lamp = (await engine.put_product("sku:LAMP", "Lamp", 5, stock=9)).product
        for _ in range(3):
            await engine.create_hold(lamp.id, 1, customer="ann")
        holds = [hold async for hold in engine.iter_holds(page=1, customer="ann")]
        await engine.create_order(holds[0].id, "sku:LAMP")
        orders = [order async for order in engine.iter_orders(page=1, customer="ann")]
        assert (len(holds), len(orders)) == (3, 1)
        results = await engine.put_products([PutProduct("sku:A", "A", 1), PutProduct(0, "B", 1)])
        assert [isinstance(result, StockadeError) for result in results] == [False, True]
