"""Model-based test: random histories against a counting model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings, target
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from conftest import numbers
from stockade import (
    Engine,
    HoldAlreadyUsedError,
    HoldExpiredError,
    HoldStatus,
    InsufficientStockError,
    OrderStatus,
    Outcome,
    PaymentStatus,
)

if TYPE_CHECKING:
    from stockade import Hold, Order

PRODUCTS = 2
products = st.integers(0, PRODUCTS - 1)
picks = st.integers(0, 1000)


@dataclass
class Counted:
    """The model of a product."""

    id: int
    received: int
    stock: int
    held: int = 0
    pending: int = 0
    sold: int = 0


@dataclass
class Known:
    """The model of a hold and its order."""

    hold: Hold
    product: Counted
    status: HoldStatus = HoldStatus.ACTIVE
    order: Order | None = None
    order_status: OrderStatus = OrderStatus.PENDING_PAYMENT
    keys: set[str] = field(default_factory=set)


class Shop(RuleBasedStateMachine):
    """Holds, orders and payments of a small shop."""

    @initialize(stocks=st.lists(st.integers(0, 12), min_size=PRODUCTS, max_size=PRODUCTS))
    def open(self, stocks: list[int]) -> None:
        self.engine = Engine("sqlite::memory:", sweeper=False)
        self.known: list[Known] = []
        self.products = [
            Counted(self.engine.create_product("Lamp", 10, stock).id, stock, stock)
            for stock in stocks
        ]

    def note(self, hold: Hold, product: Counted) -> None:
        assert (hold.product_id, hold.status) == (product.id, HoldStatus.ACTIVE)
        product.stock -= hold.quantity
        product.held += hold.quantity
        self.known.append(Known(hold, product))

    def pick(self, number: int) -> Known | None:
        return self.known[number % len(self.known)] if self.known else None

    @rule(number=products, quantity=st.integers(1, 6))
    def hold(self, number: int, quantity: int) -> None:
        product = self.products[number]
        if quantity <= product.stock:
            self.note(self.engine.create_hold(product.id, quantity), product)
            return
        with pytest.raises(InsufficientStockError) as refused:
            self.engine.create_hold(product.id, quantity)
        assert refused.value.available == product.stock

    @rule(quantities=st.lists(st.integers(1, 4), min_size=PRODUCTS, max_size=PRODUCTS))
    def create_holds(self, quantities: list[int]) -> None:
        wanted = list(zip(self.products, quantities, strict=True))
        items = {product.id: quantity for product, quantity in wanted}
        short = [product.id for product, quantity in wanted if quantity > product.stock]
        if not short:
            for hold, (product, _) in zip(self.engine.create_holds(items), wanted, strict=True):
                self.note(hold, product)
            return
        with pytest.raises(InsufficientStockError) as refused:
            self.engine.create_holds(items)
        assert [line.product_id for line in refused.value.short] == short

    @rule(number=picks)
    def release(self, number: int) -> None:
        known = self.pick(number)
        if known is None:
            return
        if known.status is HoldStatus.CONVERTED:
            with pytest.raises(HoldAlreadyUsedError):
                self.engine.release_hold(known.hold)
            return
        assert self.engine.release_hold(known.hold).status is HoldStatus.RELEASED
        if known.status is HoldStatus.ACTIVE:
            known.status = HoldStatus.RELEASED
            known.product.held -= known.hold.quantity
            known.product.stock += known.hold.quantity

    @rule(number=picks)
    def order(self, number: int) -> None:
        known = self.pick(number)
        if known is None:
            return
        if known.status is HoldStatus.RELEASED:
            with pytest.raises(HoldExpiredError):
                self.engine.create_order(known.hold)
        elif known.order is not None:
            with pytest.raises(HoldAlreadyUsedError) as refused:
                self.engine.create_order(known.hold)
            assert refused.value.order_id == known.order.id
        else:
            known.order = self.engine.create_order(known.hold)
            known.status = HoldStatus.CONVERTED
            known.product.held -= known.hold.quantity
            known.product.pending += known.hold.quantity

    @rule(number=picks, outcome=st.sampled_from(Outcome), key=st.sampled_from("ab"))
    def payment(self, number: int, outcome: Outcome, key: str) -> None:
        known = self.pick(number)
        if known is None or known.order is None:
            return
        order, product, units = known.order, known.product, known.hold.quantity
        key = f"{order.id}-{outcome}-{key}"
        receipt = self.engine.record_payment(outcome, order_id=order.id, key=key)
        assert receipt.replayed == (key in known.keys)
        if key in known.keys:
            return
        known.keys.add(key)
        if outcome is Outcome.NEUTRAL:
            assert receipt.status is PaymentStatus.RECORDED
        elif known.order_status is OrderStatus.PENDING_PAYMENT:
            assert receipt.status is PaymentStatus.APPLIED
            product.pending -= units
            if outcome is Outcome.SUCCESS:
                known.order_status = OrderStatus.PAID
                product.sold += units
            else:
                known.order_status = OrderStatus.CANCELLED
                product.stock += units
        elif known.order_status is OrderStatus.CANCELLED and outcome is Outcome.SUCCESS:
            self.late_money(known)

    def late_money(self, known: Known) -> None:
        assert known.order is not None
        # Once a late payment needs a refund, that is final.
        refunded = any(key.endswith("-refund") for key in known.keys)
        if not refunded and known.hold.quantity <= known.product.stock:
            known.order_status = OrderStatus.PAID
            known.product.stock -= known.hold.quantity
            known.product.sold += known.hold.quantity
        else:
            known.keys.add("-refund")

    @rule(number=products, delta=st.integers(-4, 4).filter(bool))
    def adjust_stock(self, number: int, delta: int) -> None:
        product = self.products[number]
        if product.stock + delta < 0:
            with pytest.raises(InsufficientStockError):
                self.engine.adjust_stock(product.id, delta)
            return
        product.stock += delta
        product.received += delta
        assert self.engine.adjust_stock(product.id, delta).stock == product.stock

    @invariant()
    def every_unit_is_where_the_model_has_it(self) -> None:
        for product in getattr(self, "products", []):
            counted = (product.stock, product.held, product.pending, product.sold)
            assert numbers(self.engine, product.id) == counted
            assert sum(counted) == product.received

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        target(float(len(self.known)))
        for known in self.known:
            assert self.engine.hold(known.hold.id).status is known.status
            if known.order is not None:
                assert self.engine.order(known.order.id).status is known.order_status
        report = self.engine.audit()
        assert report.consistent, report.findings
        assert report.units.received == sum(product.received for product in self.products)
        self.engine.close()


TestShop = Shop.TestCase
TestShop.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
