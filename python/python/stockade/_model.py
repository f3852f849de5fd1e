"""The engine's responses, and the requests of a batch, as frozen dataclasses."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stockade._scope import Scoped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from decimal import Decimal

    from stockade._settings import Duration


class HoldStatus(enum.StrEnum):
    """The status of a hold. All but `ACTIVE` are final."""

    ACTIVE = "active"
    CONVERTED = "converted"
    RELEASED = "released"
    EXPIRED = "expired"


class OrderStatus(enum.StrEnum):
    """The status of an order."""

    PENDING_PAYMENT = "pending_payment"
    PAID = "paid"
    CANCELLED = "cancelled"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class PaymentDisposition(enum.StrEnum):
    """What became of money that did not simply pay an order."""

    NONE = "none"
    RE_RESERVED = "re_reserved"
    """It came after the order was cancelled, and its units were reserved again."""
    NEEDS_REFUND = "needs_refund"
    """It came too late, or it is a second payment."""
    AMOUNT_MISMATCH = "amount_mismatch"
    """It is not the order's amount or currency; the order still waits."""
    REFUNDED = "refunded"
    """It had to be refunded, and was."""


class PaymentStatus(enum.StrEnum):
    """How a payment event was processed."""

    RECORDED = "recorded"
    """The event left its order's status as it was."""
    WAITING = "waiting"
    """The order does not exist yet: the event waits for it."""
    APPLIED = "applied"
    """The event changed its order's status."""


class Outcome(enum.StrEnum):
    """The outcome of a payment, as the provider names it."""

    SUCCESS = "success"
    FAILURE = "failure"
    """An attempt to pay failed."""
    CANCELLED = "cancelled"
    """The payment ended without money."""
    NEUTRAL = "neutral"
    """The payment goes on: the event changes nothing."""
    DISPUTED = "disputed"
    """The customer disputes the payment: an event tells of it, and nothing else changes."""


class LatePayment(enum.StrEnum):
    """How to handle a payment that arrives after its order was cancelled."""

    RE_RESERVE = "re_reserve"
    REFUND = "refund"


class EventKind(enum.StrEnum):
    """The kind of an event."""

    HOLD_CREATED = "hold.created"
    HOLD_RELEASED = "hold.released"
    HOLD_EXPIRED = "hold.expired"
    HOLD_EXTENDED = "hold.extended"
    ORDER_CREATED = "order.created"
    ORDER_PAID = "order.paid"
    ORDER_CANCELLED = "order.cancelled"
    PAYMENT_CONFLICT = "payment.conflict"
    PAYMENT_NEEDS_REFUND = "payment.needs_refund"
    STOCK_ADJUSTED = "stock.adjusted"
    ORDER_EXTENDED = "order.extended"
    ORDER_REFUNDED = "order.refunded"
    ORDER_RESTOCKED = "order.restocked"
    PAYMENT_ATTEMPT_FAILED = "payment.attempt_failed"
    PAYMENT_AMOUNT_MISMATCH = "payment.amount_mismatch"
    PAYMENT_DUPLICATE = "payment.duplicate"
    HOLD_CHANGED = "hold.changed"
    PRODUCT_CREATED = "product.created"
    PRODUCT_CHANGED = "product.changed"
    PRODUCT_ARCHIVED = "product.archived"
    CUSTOMER_ERASED = "customer.erased"
    PAYMENT_DISPUTED = "payment.disputed"


@dataclass(frozen=True, slots=True)
class Product:
    """A product and its stock accounting."""

    id: int
    sku: str | None
    """The shop's own id of the product."""
    name: str
    price: Decimal
    """The unit price."""
    currency: str
    """The currency of the price."""
    stock: int
    """Units that can be held: those in stock beyond the safety stock."""
    in_stock: int
    """Units in stock."""
    safety_stock: int
    """Units in stock that holds do not take."""
    held: int
    """Units in active holds."""
    pending: int
    """Units in unpaid orders."""
    sold: int
    """Units in paid orders, less those refunded."""
    returned: int
    """Units refunded and not for sale again."""
    on_sale_from: datetime | None
    """When it begins to be sold; `None`: it always was."""
    on_sale_until: datetime | None
    """When it ends to be sold; `None`: never."""
    archived: bool
    """Whether it is no longer sold. What was held or ordered goes on."""
    metadata: dict[str, Any] | None = field(hash=False)
    """What the shop keeps with it."""
    version: int
    """Incremented by every committed change of the product or its stock."""
    replayed: bool = field(default=False, compare=False)
    """Whether this replays the first response of an idempotency key."""

    @property
    def received(self) -> int:
        """Units received, less units written off."""
        return self.in_stock + self.held + self.pending + self.sold + self.returned


@dataclass(frozen=True, slots=True)
class ProductPage:
    """One page of products, by ascending id; archived ones are among them."""

    items: tuple[Product, ...]
    next: int | None
    """`after` of the next page; `None` on the last page."""


@dataclass(frozen=True, slots=True)
class PutProduct:
    """One request of `Engine.put_products`, with the arguments of `put_product`."""

    product: int | str
    name: str
    price: Decimal | int | str
    currency: str | None = None
    sku: str | None = None
    metadata: Mapping[str, Any] | str | None = field(default=None, hash=False)
    on_sale_from: datetime | str | None = None
    on_sale_until: datetime | str | None = None
    safety_stock: int = 0
    stock: int | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class PutOutcome:
    """What became of a product that was put."""

    product: Product
    created: bool
    """Whether it was made."""


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """One request of `Engine.create_hold_batch`, with the arguments of `create_hold`."""

    product_id: int | str
    quantity: int | str
    ttl: Duration | None = None
    key: str | None = None
    customer: str | None = None
    at_most: bool = False
    metadata: Mapping[str, Any] | str | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class CartLine:
    """One line of `Engine.create_holds`."""

    product_id: int | str
    quantity: int | str
    at_most: bool = False
    """Whether to take what is left, at least one unit, where fewer can be held."""


@dataclass(frozen=True, slots=True)
class Hold(Scoped):
    """Stock reserved for one buyer for a short time.

    A hold that `Engine` answered is a context manager: leaving the block
    releases it unless it was ordered. See `stockade.Engine.create_hold`.
    """

    id: int
    product_id: int
    quantity: int
    status: HoldStatus
    expires_at: datetime
    """It is expired from this moment on."""
    created_at: datetime
    token: str = field(repr=False)
    """An unguessable token that authorizes using the hold. Only the answer that makes
    the hold shows it: elsewhere it is empty.

    Passing the hold itself on shows it.
    """
    replayed: bool = field(default=False, compare=False)
    """Whether this replays the first response of an idempotency key."""
    order_id: int | None = None
    """The order that a converted hold became; set when the hold was read."""
    cart_id: int | None = None
    """The cart that the hold was created with; `None` for a lone hold."""
    sku: str | None = None
    """The product's SKU."""
    customer: str | None = None
    """The customer that it was created for; set when the hold was created or read."""
    metadata: dict[str, Any] | None = field(default=None, hash=False)
    """What the shop keeps with it; set when the hold was created or read."""


@dataclass(frozen=True, slots=True)
class HoldPage:
    """One page of holds, by ascending id."""

    items: tuple[Hold, ...]
    """A page may have fewer than the limit, or none, and not be the last."""
    next: int | None
    """`after` of the next page; `None` on the last page."""


@dataclass(frozen=True, slots=True)
class Cart(Scoped):
    """The holds of one cart, by ascending product id.

    As a hold it is a context manager, for all its holds together.
    """

    id: int
    """The smallest id of its holds."""
    token: str = field(repr=False)
    """An unguessable token that authorizes using the cart and each of its holds. Only
    the answer that makes the cart shows it: elsewhere it is empty."""
    holds: tuple[Hold, ...]
    replayed: bool = field(default=False, compare=False)
    """Whether this replays the first response of an idempotency key."""

    def __iter__(self) -> Iterator[Hold]:
        return iter(self.holds)

    def __len__(self) -> int:
        return len(self.holds)


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line of an order: a hold that became part of it."""

    line: int
    """The number within the order, from 1."""
    hold_id: int
    product_id: int
    sku: str | None
    quantity: int
    price: Decimal
    """The unit price when the order was created."""
    refunded: int
    """Units refunded, returned and restocked ones included."""
    returned: int
    """Units refunded and not for sale again."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order: holds with one payment."""

    id: int
    lines: tuple[OrderLine, ...]
    """At least one, in the order of the request's holds."""
    status: OrderStatus
    payment_token: str = field(repr=False)
    """The token by which the payment provider names this order. Only the answer that
    makes the order shows it: elsewhere it is empty."""
    payment_disposition: PaymentDisposition
    amount: Decimal
    """The amount to pay, frozen when the order was created."""
    currency: str
    """The currency of the amount and of the lines' prices."""
    refunded_amount: Decimal
    """How much of the amount was refunded."""
    reference: str | None
    """The shop's own number of the order."""
    customer: str | None
    """The customer of its holds."""
    metadata: dict[str, Any] | None = field(hash=False)
    """What the shop keeps with it."""
    created_by: str | None
    """Who made it: the name given to `Engine.acting_as`."""
    pay_until: datetime | None
    """When it is cancelled if it is not paid before; `None`: never."""
    created_at: datetime
    updated_at: datetime
    replayed: bool = field(default=False, compare=False)
    """Whether this replays the first response of an idempotency key."""

    @property
    def hold_id(self) -> int | None:
        """The hold of an order of one line."""
        return self.lines[0].hold_id if len(self.lines) == 1 else None

    @property
    def product_id(self) -> int | None:
        """The product of an order of one line."""
        return self.lines[0].product_id if len(self.lines) == 1 else None

    @property
    def quantity(self) -> int | None:
        """Units of an order of one line."""
        return self.lines[0].quantity if len(self.lines) == 1 else None


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of orders, by ascending id."""

    items: tuple[Order, ...]
    """A page may have fewer than the limit, or none, and not be the last."""
    next: int | None
    """`after` of the next page; `None` on the last page."""


@dataclass(frozen=True, slots=True)
class WaitingPayment:
    """A payment event that came before its order and waits for it."""

    key: str
    """The event's idempotency key; one that was derived begins with U+0001."""
    order_id: int | None
    """The order that it names by id or payment token; `None` for an event by reference."""
    order_reference: str | None
    """The shop's own number of the order, if the event said."""
    by_token: bool
    """Whether it named the order by its payment token."""
    outcome: Outcome
    amount: Decimal | None
    currency: str | None
    payment_reference: str | None
    """The provider's own name of the payment."""
    received_at: datetime
    ends_at: datetime
    """An order that is created at this time or later is not affected by it."""


@dataclass(frozen=True, slots=True)
class WaitingPaymentPage:
    """One page of waiting payment events, the oldest first."""

    items: tuple[WaitingPayment, ...]
    next: str | None
    """`after` of the next page, which means nothing else; `None` on the last page."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What the erasure of a customer found."""

    holds: int
    """The customer's holds that are stored, ended ones included."""
    orders: int


@dataclass(frozen=True, slots=True)
class PaymentReceipt:
    """How a payment event was processed."""

    status: PaymentStatus
    replayed: bool = field(default=False, compare=False)
    """Whether the event was delivered before."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the transactional outbox: a committed state transition."""

    cursor: int
    """The event's position, strictly increasing; pass the last one to read on."""
    kind: EventKind
    product_id: int
    """The product; 0 for an event that concerns none."""
    hold_id: int | None
    order_id: int | None
    quantity: int
    """Units; negative for a write-off, and for units that a hold returns."""
    version: int
    """The product's version after the transaction."""
    at: datetime
    sku: str | None = None
    """The SKU that the product has when the event is read."""
    customer: str | None = None
    """The customer of the hold or the order; after an erasure the name in its place."""
    reason: str | None = None
    """The reason that was given for an adjustment of stock, a cancelled order or a refund."""
    metadata: dict[str, Any] | None = field(default=None, hash=False)
    """The metadata of what the event is about.

    After an event about the product itself it is the product's, else that which the
    order or the hold has when the event is read.
    """
    reference: str | None = None
    """The shop's own number of the order."""
    actor: str | None = None
    """Who asked for it: the name given to `Engine.acting_as`.

    `None` for what nobody asked for, such as an expiry.
    """


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep expired."""

    holds_expired: int
    orders_cancelled: int


@dataclass(frozen=True, slots=True)
class Units:
    """Units by state, summed over all products."""

    received: int
    stock: int
    held: int
    pending: int
    sold: int
    returned: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that an audit found."""

    check: str
    """The check that failed, such as `conservation`."""
    id: int
    """The id of the product, hold or order, depending on the check."""
    detail: str
    """The expected and the actual value."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The report of an audit."""

    consistent: bool
    products: int
    units: Units
    waiting_events: int
    """Payment events waiting for an order that does not exist yet."""
    oldest_waiting_event: datetime | None
    products_due: int
    """Products with due holds or orders that no sweep has processed yet."""
    findings: tuple[Finding, ...]


# Members by value, for the native module.
HOLD_STATUSES = {status.value: status for status in HoldStatus}
ORDER_STATUSES = {status.value: status for status in OrderStatus}
DISPOSITIONS = {disposition.value: disposition for disposition in PaymentDisposition}
OUTCOMES = {outcome.value: outcome for outcome in Outcome}
PAYMENT_STATUSES = {status.value: status for status in PaymentStatus}
EVENT_KINDS = {kind.value: kind for kind in EventKind}
