"""The engine's responses, and the requests of a batch, as frozen dataclasses."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stockade._scope import Scoped

if TYPE_CHECKING:
    from collections.abc import Iterator
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


class PaymentDisposition(enum.StrEnum):
    """How a late payment, after the order was cancelled, was handled."""

    NONE = "none"
    RE_RESERVED = "re_reserved"
    NEEDS_REFUND = "needs_refund"


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


@dataclass(frozen=True, slots=True)
class Product:
    """A product and its stock accounting."""

    id: int
    name: str
    price: Decimal
    """The unit price."""
    stock: int
    """Units available to hold."""
    held: int
    """Units in active holds."""
    pending: int
    """Units in unpaid orders."""
    sold: int
    """Units in paid orders."""
    version: int
    """Incremented by every committed change of the product's stock."""

    @property
    def received(self) -> int:
        """Units received, less units written off."""
        return self.stock + self.held + self.pending + self.sold


@dataclass(frozen=True, slots=True)
class ProductPage:
    """One page of products, by ascending id."""

    items: tuple[Product, ...]
    next: int | None
    """`after` of the next page; `None` on the last page."""


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """One request of `Engine.create_hold_batch`, with the arguments of `create_hold`."""

    product_id: int | str
    quantity: int | str
    ttl: Duration | None = None
    key: str | None = None
    customer: str | None = None


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
    """An unguessable token that authorizes using the hold.

    Passing the hold itself on shows it.
    """
    replayed: bool = field(default=False, compare=False)
    """Whether this replays the first response of an idempotency key."""


@dataclass(frozen=True, slots=True)
class Cart(Scoped):
    """The holds of one cart, by ascending product id.

    As a hold it is a context manager, for all its holds together.
    """

    holds: tuple[Hold, ...]
    replayed: bool = field(default=False, compare=False)
    """Whether this replays the first response of an idempotency key."""

    def __iter__(self) -> Iterator[Hold]:
        return iter(self.holds)

    def __len__(self) -> int:
        return len(self.holds)


@dataclass(frozen=True, slots=True)
class Order:
    """An order, created from a hold."""

    id: int
    hold_id: int
    product_id: int
    quantity: int
    status: OrderStatus
    payment_token: str = field(repr=False)
    """The token by which the payment provider names this order."""
    payment_disposition: PaymentDisposition
    created_at: datetime
    updated_at: datetime
    replayed: bool = field(default=False, compare=False)
    """Whether this replays the first response of an idempotency key."""


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
    hold_id: int | None
    order_id: int | None
    quantity: int
    """Units; negative for a write-off."""
    version: int
    """The product's version after the transaction."""
    at: datetime


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
PAYMENT_STATUSES = {status.value: status for status in PaymentStatus}
EVENT_KINDS = {kind.value: kind for kind in EventKind}
