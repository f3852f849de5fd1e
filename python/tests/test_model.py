"""Model-based test: random histories against a counting model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings, target
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from stockade import (
    AlreadyPaidError,
    Engine,
    HoldAlreadyUsedError,
    HoldExpiredError,
    HoldStatus,
    InsufficientStockError,
    NothingReturnedError,
    NotOnSaleError,
    NotPaidError,
    OrderStatus,
    Outcome,
    PaymentDisposition,
    PaymentStatus,
    RefundTooLargeError,
)

if TYPE_CHECKING:
    from stockade import Hold, Product

PRODUCTS = 2
CLERK = "clerk"
products = st.integers(0, PRODUCTS - 1)
picks = st.integers(0, 1000)
prices = st.integers(0, 3)
safety_stocks = st.integers(0, 3)
stocks = st.none() | st.integers(0, 12)
units = st.none() | st.dictionaries(st.integers(1, 2), st.integers(1, 4), min_size=1, max_size=2)


@dataclass
class Counted:
    """The model of a product."""

    id: int
    price: int
    in_stock: int
    safety_stock: int = 0
    held: int = 0
    pending: int = 0
    sold: int = 0
    returned: int = 0
    archived: bool = False
    received: int = field(init=False)

    def __post_init__(self) -> None:
        self.received = self.in_stock

    @property
    def stock(self) -> int:
        return max(0, self.in_stock - self.safety_stock)

    def count(self, in_stock: int) -> None:
        self.received += in_stock - self.in_stock
        self.in_stock = in_stock


@dataclass
class Known:
    """The model of a hold."""

    id: int
    product: Counted
    quantity: int
    token: str
    status: HoldStatus = HoldStatus.ACTIVE
    order_id: int | None = None


@dataclass
class Line:
    """The model of a line of an order."""

    product: Counted
    quantity: int
    price: int
    refunded: int = 0
    returned: int = 0


@dataclass
class Ordered:
    """The model of an order."""

    id: int
    lines: list[Line]
    created_by: str | None
    amount: int = field(init=False)
    refunded_amount: int = 0
    status: OrderStatus = OrderStatus.PENDING_PAYMENT
    disposition: PaymentDisposition = PaymentDisposition.NONE
    is_closed: bool = False
    keys: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.amount = sum(line.price * line.quantity for line in self.lines)

    @property
    def was_paid(self) -> bool:
        return self.status not in {OrderStatus.PENDING_PAYMENT, OrderStatus.CANCELLED}

    def cancel(self) -> None:
        self.status = OrderStatus.CANCELLED
        for line in self.lines:
            line.product.pending -= line.quantity
            line.product.in_stock += line.quantity
        if self.disposition is PaymentDisposition.AMOUNT_MISMATCH:
            self.disposition = PaymentDisposition.NEEDS_REFUND

    def pay(self) -> None:
        self.status = OrderStatus.PAID
        self.disposition = PaymentDisposition.NONE
        for line in self.lines:
            line.product.pending -= line.quantity
            line.product.sold += line.quantity

    def pay_late(self) -> bool:
        """Take the units again, the safety stock included; return whether they were there."""
        needed = dict.fromkeys((line.product.id for line in self.lines), 0)
        for line in self.lines:
            needed[line.product.id] += line.quantity
        if any(line.product.in_stock < needed[line.product.id] for line in self.lines):
            return False
        self.status = OrderStatus.PAID
        self.disposition = PaymentDisposition.RE_RESERVED
        for line in self.lines:
            line.product.in_stock -= line.quantity
            line.product.sold += line.quantity
        return True

    def fits(self, wanted: dict[int, int], returned: bool) -> bool:  # noqa: FBT001
        """Whether the lines have so many units left to refund, or returned."""
        for number, quantity in wanted.items():
            if number > len(self.lines):
                return False
            line = self.lines[number - 1]
            if quantity > (line.returned if returned else line.quantity - line.refunded):
                return False
        return True

    def refund(self, wanted: dict[int, int] | None, money: int | None, *, restock: bool) -> bool:
        """Refund units and money; return whether so much was left."""
        moved = wanted or {}
        left = self.amount - self.refunded_amount
        if wanted is None and money is None:
            lines = enumerate(self.lines, 1)
            moved = {at: line.quantity - line.refunded for at, line in lines}
            money = left
        if not self.fits(moved, returned=False):
            return False
        worth = sum(self.lines[at - 1].price * quantity for at, quantity in moved.items())
        money = min(worth, left) if money is None else money
        if money > left or (money == 0 and not any(moved.values())):
            return False
        self.refunded_amount += money
        for at, quantity in moved.items():
            line = self.lines[at - 1]
            line.refunded += quantity
            line.product.sold -= quantity
            if restock:
                line.product.in_stock += quantity
            else:
                line.returned += quantity
                line.product.returned += quantity
        is_left = (
            self.refunded_amount < self.amount
            if self.amount
            else any(line.refunded < line.quantity for line in self.lines)
        )
        self.status = OrderStatus.PARTIALLY_REFUNDED if is_left else OrderStatus.REFUNDED
        return True

    def restock(self, wanted: dict[int, int] | None) -> bool:
        """Put returned units back; return whether so many were returned."""
        lines = enumerate(self.lines, 1)
        moved = {at: line.returned for at, line in lines} if wanted is None else wanted
        if not self.fits(moved, returned=True) or not any(moved.values()):
            return False
        for at, quantity in moved.items():
            line = self.lines[at - 1]
            line.returned -= quantity
            line.product.returned -= quantity
            line.product.in_stock += quantity
        return True


class Shop(RuleBasedStateMachine):
    """Products, holds, orders and payments of a small shop."""

    @initialize(
        stocks=st.lists(st.integers(4, 12), min_size=PRODUCTS, max_size=PRODUCTS),
        story=st.sampled_from(["pending", "paid", "refunded", "failed", "owed"]),
    )
    def open(self, stocks: list[int], story: str) -> None:
        self.engine = Engine("sqlite::memory:", sweeper=False)
        self.clerk = self.engine.acting_as(CLERK)
        self.known: list[Known] = []
        self.orders: list[Ordered] = []
        self.products = [
            Counted(self.engine.create_product("Lamp", 2, stock, sku=f"LAMP-{at}").id, 2, stock)
            for at, stock in enumerate(stocks)
        ]
        # Most of the rules need an order, and some one with a past.
        self.create_holds([2] * PRODUCTS)
        self.create_holds([1] * PRODUCTS)
        self.order([0, 1], by_clerk=True)
        if story == "owed":
            self.cancel(0)
        if story == "failed":
            self.payment(0, Outcome.FAILURE, "a", fits=True)
        elif story != "pending":
            self.payment(0, Outcome.SUCCESS, "a", fits=True)
        if story == "refunded":
            self.refund(0, {1: 1}, None, restock=False)

    def note(self, hold: Hold, product: Counted) -> None:
        assert (hold.product_id, hold.status) == (product.id, HoldStatus.ACTIVE)
        product.in_stock -= hold.quantity
        product.held += hold.quantity
        self.known.append(Known(hold.id, product, hold.quantity, hold.token))

    def pick(self, number: int) -> Known:
        return self.known[number % len(self.known)]

    def pick_order(self, number: int) -> Ordered:
        return self.orders[number % len(self.orders)]

    @rule(number=products, quantity=st.integers(1, 6), at_most=st.booleans())
    def hold(self, number: int, quantity: int, at_most: bool) -> None:  # noqa: FBT001
        product = self.products[number]
        taken = min(quantity, product.stock) if at_most else quantity
        if product.archived:
            with pytest.raises(NotOnSaleError) as archived:
                self.engine.create_hold(product.id, quantity, at_most=at_most)
            assert (archived.value.product_id, archived.value.off_sale) == (product.id, "archived")
        elif 1 <= taken <= product.stock:
            hold = self.engine.create_hold(product.id, quantity, at_most=at_most)
            assert hold.quantity == taken
            self.note(hold, product)
        else:
            with pytest.raises(InsufficientStockError) as refused:
                self.engine.create_hold(product.id, quantity, at_most=at_most)
            assert refused.value.available == product.stock

    @rule(quantities=st.lists(st.integers(1, 4), min_size=PRODUCTS, max_size=PRODUCTS))
    def create_holds(self, quantities: list[int]) -> None:
        wanted = list(zip(self.products, quantities, strict=True))
        items = {product.id: quantity for product, quantity in wanted}
        short = [
            (product.id, f"LAMP-{at}")
            for at, (product, quantity) in enumerate(wanted)
            if quantity > product.stock
        ]
        if any(product.archived for product, _ in wanted):
            with pytest.raises(NotOnSaleError):
                self.engine.create_holds(items)
        elif short:
            with pytest.raises(InsufficientStockError) as refused:
                self.engine.create_holds(items)
            assert [(line.product_id, line.sku) for line in refused.value.short] == short
        else:
            for hold, (product, _) in zip(self.engine.create_holds(items), wanted, strict=True):
                self.note(hold, product)

    @rule(number=picks, quantity=st.integers(1, 6))
    def change_quantity(self, number: int, quantity: int) -> None:
        known = self.pick(number)
        product, added = known.product, quantity - known.quantity
        error: type[Exception] | None = None
        if known.status is HoldStatus.RELEASED:
            error = HoldExpiredError
        elif known.status is HoldStatus.CONVERTED:
            error = HoldAlreadyUsedError
        elif added > 0 and product.archived:
            error = NotOnSaleError
        elif added > product.stock:
            error = InsufficientStockError
        if error is not None:
            with pytest.raises(error):
                self.engine.change_quantity(known.id, quantity, token=known.token)
            return
        hold = self.engine.change_quantity(known.id, quantity, token=known.token)
        assert (hold.id, hold.quantity) == (known.id, quantity)
        known.quantity = quantity
        product.in_stock -= added
        product.held += added

    @rule(number=picks)
    def release(self, number: int) -> None:
        known = self.pick(number)
        if known.status is HoldStatus.CONVERTED:
            with pytest.raises(HoldAlreadyUsedError):
                self.engine.release_hold(known.id)
            return
        assert self.engine.release_hold(known.id).status is HoldStatus.RELEASED
        if known.status is HoldStatus.ACTIVE:
            known.status = HoldStatus.RELEASED
            known.product.held -= known.quantity
            known.product.in_stock += known.quantity

    @rule(numbers=st.lists(picks, min_size=1, max_size=2), by_clerk=st.booleans())
    def order(self, numbers: list[int], by_clerk: bool) -> None:  # noqa: FBT001
        known = {hold.id: hold for hold in map(self.pick, numbers)}
        engine = self.clerk if by_clerk else self.engine
        unusable = [hold for hold in known.values() if hold.status is not HoldStatus.ACTIVE]
        if unusable:
            first = unusable[0]
            error = HoldExpiredError if first.order_id is None else HoldAlreadyUsedError
            with pytest.raises(error) as refused:
                engine.create_order(known)
            assert refused.value.order_id == first.order_id
            return
        order = engine.create_order((hold.id, hold.token) for hold in known.values())
        lines = []
        for hold in known.values():
            hold.status, hold.order_id = HoldStatus.CONVERTED, order.id
            hold.product.held -= hold.quantity
            hold.product.pending += hold.quantity
            lines.append(Line(hold.product, hold.quantity, hold.product.price))
        self.orders.append(Ordered(order.id, lines, CLERK if by_clerk else None))

    @rule(
        number=picks,
        outcome=st.sampled_from(Outcome),
        key=st.sampled_from("ab"),
        fits=st.booleans(),
    )
    def payment(self, number: int, outcome: Outcome, key: str, fits: bool) -> None:  # noqa: FBT001
        order = self.pick_order(number)
        key = f"{order.id}-{outcome}-{key}-{fits}"
        amount = order.amount if fits else order.amount + 1
        receipt = self.engine.record_payment(outcome, order_id=order.id, key=key, amount=amount)
        assert receipt.replayed == (key in order.keys)
        if key in order.keys:
            return
        order.keys.add(key)
        before = order.status
        self.pay(order, outcome, fits=fits)
        applied = order.status is not before
        assert receipt.status is (PaymentStatus.APPLIED if applied else PaymentStatus.RECORDED)

    def pay(self, order: Ordered, outcome: Outcome, *, fits: bool) -> None:
        if order.status is OrderStatus.PENDING_PAYMENT:
            if outcome in {Outcome.FAILURE, Outcome.CANCELLED}:
                order.cancel()
            elif outcome is Outcome.SUCCESS and fits:
                order.pay()
            elif outcome is Outcome.SUCCESS:
                order.disposition = PaymentDisposition.AMOUNT_MISMATCH
        elif (
            order.status is OrderStatus.CANCELLED
            and outcome is Outcome.SUCCESS
            # Once money needs a refund, that is final.
            and order.disposition is PaymentDisposition.NONE
            and not (fits and not order.is_closed and order.pay_late())
        ):
            order.disposition = PaymentDisposition.NEEDS_REFUND

    @rule(number=picks)
    def cancel(self, number: int) -> None:
        order = self.pick_order(number)
        if order.was_paid:
            with pytest.raises(AlreadyPaidError):
                self.clerk.cancel_order(order.id)
            return
        found = self.clerk.cancel_order(order.id, reason="by phone")
        assert found.status is OrderStatus.CANCELLED
        if order.status is OrderStatus.PENDING_PAYMENT:
            order.cancel()
            order.is_closed = True

    @rule(number=picks, lines=units, money=st.none() | st.integers(0, 9), restock=st.booleans())
    def refund(
        self,
        number: int,
        lines: dict[int, int] | None,
        money: int | None,
        restock: bool,  # noqa: FBT001
    ) -> None:
        order = self.pick_order(number)
        error = RefundTooLargeError if order.was_paid else NotPaidError
        if not order.was_paid or not order.refund(lines, money, restock=restock):
            with pytest.raises(error):
                self.engine.refund_order(order.id, lines=lines, amount=money, restock=restock)
            return
        found = self.engine.refund_order(order.id, lines=lines, amount=money, restock=restock)
        assert found.status is order.status
        assert found.refunded_amount == order.refunded_amount

    @rule(number=picks)
    def settle(self, number: int) -> None:
        order = self.pick_order(number)
        if order.disposition is not PaymentDisposition.NEEDS_REFUND:
            with pytest.raises(RefundTooLargeError):
                self.engine.refund_order(order.id, owed=True)
            return
        order.disposition = self.engine.refund_order(order.id, owed=True).payment_disposition
        assert order.disposition is PaymentDisposition.REFUNDED

    @rule(number=picks, lines=units)
    def restock(self, number: int, lines: dict[int, int] | None) -> None:
        order = self.pick_order(number)
        if not order.restock(lines):
            with pytest.raises(NothingReturnedError):
                self.engine.restock_order(order.id, lines=lines)
            return
        found = self.engine.restock_order(order.id, lines=lines)
        assert [line.returned for line in found.lines] == [line.returned for line in order.lines]

    @rule(number=products, delta=st.integers(-4, 4).filter(bool))
    def adjust_stock(self, number: int, delta: int) -> None:
        product = self.products[number]
        if product.in_stock + delta < 0:
            with pytest.raises(InsufficientStockError) as refused:
                self.engine.adjust_stock(product.id, delta)
            assert refused.value.available == product.in_stock
            return
        product.count(product.in_stock + delta)
        assert self.engine.adjust_stock(product.id, delta).stock == product.stock

    @rule(number=products, to=st.integers(0, 12))
    def count_stock(self, number: int, to: int) -> None:
        product = self.products[number]
        product.count(to)
        assert self.engine.adjust_stock(product.id, to=to).in_stock == to

    @rule(number=products, price=prices, safety_stock=safety_stocks, stock=stocks)
    def put(self, number: int, price: int, safety_stock: int, stock: int | None) -> None:
        product, sku = self.products[number], f"sku:LAMP-{number}"
        outcome = self.engine.put_product(
            sku, "Lantern", price, safety_stock=safety_stock, stock=stock
        )
        assert (outcome.product.id, outcome.created) == (product.id, False)
        product.price, product.safety_stock = price, safety_stock
        if stock is not None:
            product.count(stock)
        self.check(outcome.product, product)

    @rule(
        number=products,
        price=st.none() | prices,
        safety_stock=st.none() | safety_stocks,
        archived=st.none() | st.booleans(),
        stock=stocks,
    )
    def change(
        self,
        number: int,
        price: int | None,
        safety_stock: int | None,
        archived: bool | None,  # noqa: FBT001
        stock: int | None,
    ) -> None:
        product = self.products[number]
        changed = self.engine.change_product(
            product.id, price=price, safety_stock=safety_stock, archived=archived, stock=stock
        )
        product.price = product.price if price is None else price
        product.safety_stock = product.safety_stock if safety_stock is None else safety_stock
        product.archived = product.archived if archived is None else archived
        if stock is not None:
            product.count(stock)
        self.check(changed, product)

    def check(self, found: Product, product: Counted) -> None:
        assert found.price == product.price
        assert (found.safety_stock, found.archived) == (product.safety_stock, product.archived)
        assert (found.stock, found.in_stock, found.held, found.pending) == (
            product.stock,
            product.in_stock,
            product.held,
            product.pending,
        )
        assert (found.sold, found.returned) == (product.sold, product.returned)
        assert found.received == product.received

    @invariant()
    def every_unit_is_where_the_model_has_it(self) -> None:
        if hasattr(self, "engine"):
            # From the store, not from the cache.
            for found, product in zip(self.engine.products().items, self.products, strict=True):
                self.check(found, product)

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        target(float(len(self.known)))
        for known in self.known:
            hold = self.engine.hold(known.id)
            assert (hold.status, hold.quantity) == (known.status, known.quantity)
            assert hold.order_id == known.order_id
        for order in self.orders:
            found = self.engine.order(order.id)
            assert (found.status, found.payment_disposition) == (order.status, order.disposition)
            assert found.amount == order.amount
            assert found.refunded_amount == order.refunded_amount
            assert found.created_by == order.created_by
            lines = [(line.refunded, line.returned) for line in found.lines]
            assert lines == [(line.refunded, line.returned) for line in order.lines]
        report = self.engine.audit()
        assert report.consistent, report.findings
        assert report.units.received == sum(product.received for product in self.products)
        self.engine.close()


TestShop = Shop.TestCase
TestShop.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
