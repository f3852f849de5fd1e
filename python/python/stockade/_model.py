"""What the engine answers, as frozen dataclasses."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stockade._scope import Scoped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from decimal import Decimal


class HoldStatus(enum.StrEnum):
    """Where a hold stands. All but `ACTIVE` are final."""

    ACTIVE = "active"
    CONVERTED = "converted"
    RELEASED = "released"
    EXPIRED = "expired"


class OrderStatus(enum.StrEnum):
    """Where an order stands."""

    PENDING_PAYMENT = "pending_payment"
    PAID = "paid"
    CANCELLED = "cancelled"


class PaymentDisposition(enum.StrEnum):
    """What became of money that arrived after its order was cancelled."""

    NONE = "none"
    RE_RESERVED = "re_reserved"
    NEEDS_REFUND = "needs_refund"


class PaymentAnswer(enum.StrEnum):
    """How a payment event was taken."""

    RECORDED = "recorded"
    WAITING = "waiting"


class Outcome(enum.StrEnum):
    """How a payment ended, in the provider's word."""

    SUCCESS = "success"
    FAILURE = "failure"


class LatePayment(enum.StrEnum):
    """What to do with money that arrives after its order was cancelled."""

    RE_RESERVE = "re_reserve"
    REFUND = "refund"


class EventKind(enum.StrEnum):
    """What kind of transition an event tells of."""

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
    """A product and where its units are."""

    id: int
    name: str
    price: Decimal
    """The price of one unit."""
    stock: int
    """Units that can still be held."""
    held: int
    """Units in active holds."""
    pending: int
    """Units in orders that wait for their payment."""
    sold: int
    """Units in paid orders."""
    version: int
    """Raised by one at each committed change of the product's stock."""

    @property
    def received(self) -> int:
        """All units ever received, less those written off."""
        return self.stock + self.held + self.pending + self.sold


@dataclass(frozen=True, slots=True)
class ProductPage:
    """One page of products, by ascending id."""

    items: tuple[Product, ...]
    next: int | None
    """Pass it as `after` to read on; `None` on the last page."""


@dataclass(frozen=True, slots=True)
class Hold(Scoped):
    """Stock kept for one buyer for a short time.

    A hold that `Engine` answered is a context manager: leaving the block
    releases it unless it was ordered. See `stockade.Engine.hold`.
    """

    id: int
    product_id: int
    qty: int
    status: HoldStatus
    expires_at: datetime
    """It is dead from this moment on."""
    created_at: datetime
    token: str = field(repr=False)
    """An unguessable word that shows whose hold it is.

    Passing the hold itself on shows it.
    """
    replayed: bool = field(default=False, compare=False)
    """Whether an idempotency key's first answer was given again."""


@dataclass(frozen=True, slots=True)
class Cart(Scoped):
    """The holds of one cart, by ascending product id.

    As a hold it is a context manager, for all its holds together.
    """

    holds: tuple[Hold, ...]
    replayed: bool = field(default=False, compare=False)
    """Whether an idempotency key's first answer was given again."""

    def __iter__(self) -> Iterator[Hold]:
        return iter(self.holds)

    def __len__(self) -> int:
        return len(self.holds)


@dataclass(frozen=True, slots=True)
class Order:
    """A hold that became an order."""

    id: int
    hold_id: int
    product_id: int
    qty: int
    status: OrderStatus
    payment_token: str = field(repr=False)
    """What the payment provider sends back to name this order."""
    payment_disposition: PaymentDisposition
    created_at: datetime
    updated_at: datetime
    replayed: bool = field(default=False, compare=False)
    """Whether an idempotency key's first answer was given again."""


@dataclass(frozen=True, slots=True)
class PaymentReceipt:
    """How a payment event was taken."""

    answer: PaymentAnswer
    replayed: bool = field(default=False, compare=False)
    """Whether the event had come before."""


@dataclass(frozen=True, slots=True)
class Event:
    """One transition, as a reader of the outbox sees it."""

    cursor: int
    """Grows from event to event; pass it on to read what comes after."""
    kind: EventKind
    product_id: int
    hold_id: int | None
    order_id: int | None
    qty: int
    """Units concerned; negative where an operator wrote goods off."""
    version: int
    """The product's version after the transition."""
    at: datetime


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep gave back."""

    holds_expired: int
    orders_cancelled: int


@dataclass(frozen=True, slots=True)
class Units:
    """Units by where they are, over all products."""

    received: int
    stock: int
    held: int
    pending: int
    sold: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong."""

    check: str
    """The check that found it, such as `conservation`."""
    id: int
    """Of the product, hold or order, as the check is about one or another."""
    detail: str
    """What was expected and what was found."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The result of comparing all of a store's numbers with each other."""

    consistent: bool
    products: int
    units: Units
    waiting_events: int
    """Payment events that wait for an order which is not there yet."""
    oldest_waiting_event: datetime | None
    products_due: int
    """Products with due holds or orders that no sweep has taken back yet."""
    findings: tuple[Finding, ...]


# Members by their word, for the native module.
HOLD_STATUSES = {status.value: status for status in HoldStatus}
ORDER_STATUSES = {status.value: status for status in OrderStatus}
DISPOSITIONS = {disposition.value: disposition for disposition in PaymentDisposition}
PAYMENT_ANSWERS = {answer.value: answer for answer in PaymentAnswer}
EVENT_KINDS = {kind.value: kind for kind in EventKind}
