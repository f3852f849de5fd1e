"""The errors of calls: one class per error code of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class ShortLine:
    """One line of a request that exceeds the available stock."""

    product_id: int
    requested: int
    """Units requested, summed over the request."""
    available: int
    """Units available to hold."""


class StockadeError(Exception):
    """The base class of all errors of Stockade.

    Attributes:
        code: The stable code, the same in every language.
        message: A one-line message.
        available: Units available to hold, if exactly one line is short.
        short: Every short line, if the stock was insufficient.
        order_id: The order that used the hold.
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
        replayed: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.available = available
        self.short = short
        self.order_id = order_id
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
    )
}
"""The class of each code."""
