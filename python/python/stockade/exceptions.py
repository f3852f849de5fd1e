"""The errors of calls: one class per error code of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class ShortLine:
    """One line of a request that exceeds the available stock."""

    product_id: int
    requested: int
    """Units requested, summed over the request."""
    available: int
    """Units available to hold."""
    sku: str | None = None
    """The product's SKU."""


@dataclass(frozen=True, slots=True)
class UnusableHold:
    """One hold of a request that cannot be used."""

    hold_id: int
    code: str
    """The stable code of the reason, as of an error."""
    order_id: int | None
    """The order that used the hold, if one did."""


class StockadeError(Exception):
    """The base class of all errors of Stockade.

    Attributes:
        code: The stable code, the same in every language.
        message: A one-line message.
        available: Units available to hold, if exactly one line is short.
        short: Every short line, if the stock was insufficient.
        order_id: The order that used the hold, or that has the reference.
        product_id: The product that has the id or the SKU, or that is not for sale.
        off_sale: Why a product is not for sale: `before` or `since` the `moment`, or
            `archived`.
        moment: When the product begins to be sold, or ended to be.
        holds: Every hold that cannot be used, of a request that names several.
        replayed: Whether this error replays that of an earlier call with
            the same idempotency key.
        retry_after: The seconds to wait before a retry; `None` if a retry
            is pointless.

    """

    code: ClassVar[str]

    def __init__(  # noqa: PLR0913 the facts of all errors
        self,
        message: str,
        *,
        available: int | None = None,
        short: tuple[ShortLine, ...] = (),
        order_id: int | None = None,
        product_id: int | None = None,
        off_sale: Literal["before", "since", "archived"] | None = None,
        moment: datetime | None = None,
        holds: tuple[UnusableHold, ...] = (),
        replayed: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.available = available
        self.short = short
        self.order_id = order_id
        self.product_id = product_id
        self.off_sale = off_sale
        self.moment = moment
        self.holds = holds
        self.replayed = replayed
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle all attributes."""
        return type(self), (self.message,), self.__dict__


class InvalidArgumentError(StockadeError, ValueError):
    """The request is invalid; retrying it unchanged never succeeds."""

    code = "invalid_argument"


class QuantityLimitError(StockadeError):
    """More units than allowed for one hold or one customer."""

    code = "quantity_limit"


class NotFoundError(StockadeError, LookupError):
    """No such product, hold or order."""

    code = "not_found"


class ProductMismatchError(StockadeError):
    """The hold is for another product; it was not changed."""

    code = "product_mismatch"


class InsufficientStockError(StockadeError):
    """Not enough stock; `available` and `short` give the available units."""

    code = "insufficient_stock"


class HoldExpiredError(StockadeError):
    """The hold has expired or was released; its stock was returned."""

    code = "hold_expired"


class HoldAlreadyUsedError(StockadeError):
    """The hold was already used by an order; `order_id` names it."""

    code = "hold_already_used"


class IdempotencyMismatchError(StockadeError):
    """The idempotency key was used with another request."""

    code = "idempotency_mismatch"


class ContentionError(StockadeError):
    """Overload: too many concurrent requests. Nothing changed; retry after `retry_after`."""

    code = "contention"


class UnavailableError(StockadeError):
    """The store or the network is unavailable.

    The request took effect in whole or not at all; with an idempotency key it can
    be retried safely.
    """

    code = "unavailable"


class UnauthorizedError(StockadeError):
    """A missing or invalid credential."""

    code = "unauthorized"


class MisuseError(StockadeError):
    """The engine was used incorrectly: it is closed, or was opened before a fork."""

    code = "misuse"


class InternalError(StockadeError):
    """A bug of Stockade or corrupt data in its store; nothing changed."""

    code = "internal"


class VersionMismatchError(StockadeError):
    """The product has another version than the caller expected; nothing changed."""

    code = "version_mismatch"


class AlreadyExistsError(StockadeError):
    """The name is taken: `product_id` or `order_id` names what has it."""

    code = "already_exists"


class NotOnSaleError(StockadeError):
    """The product is not for sale now; `off_sale` and `moment` say why."""

    code = "not_on_sale"


class AlreadyPaidError(StockadeError):
    """The order is paid, so that it can only be refunded."""

    code = "already_paid"


class OrderCancelledError(StockadeError):
    """The order is cancelled."""

    code = "order_cancelled"


class NotPaidError(StockadeError):
    """The order was never paid, so that nothing can be refunded."""

    code = "not_paid"


class RefundTooLargeError(StockadeError):
    """More money or more units than are left to refund."""

    code = "refund_too_large"


class NothingReturnedError(StockadeError):
    """Fewer units of the order are returned than are to be restocked."""

    code = "nothing_returned"


BY_CODE: dict[str, type[StockadeError]] = {
    error.code: error
    for error in (
        InvalidArgumentError,
        QuantityLimitError,
        NotFoundError,
        ProductMismatchError,
        InsufficientStockError,
        HoldExpiredError,
        HoldAlreadyUsedError,
        IdempotencyMismatchError,
        ContentionError,
        UnavailableError,
        UnauthorizedError,
        MisuseError,
        InternalError,
        VersionMismatchError,
        AlreadyExistsError,
        NotOnSaleError,
        AlreadyPaidError,
        OrderCancelledError,
        NotPaidError,
        RefundTooLargeError,
        NothingReturnedError,
    )
}
"""The class of each code."""
