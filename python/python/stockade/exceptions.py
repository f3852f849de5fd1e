"""Why a call did not do what was asked: one class for each of the engine's codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class ShortLine:
    """One line of a request for which there is not enough stock."""

    product_id: int
    requested: int
    """Units asked for, summed over the request."""
    available: int
    """Units that could have been held."""


class StockadeError(Exception):
    """The root of all errors of Stockade.

    Attributes:
        code: The stable code, the same in every language.
        message: One line for a person.
        available: Units that could have been held, where one line was short.
        short: Every short line, where there was not enough stock.
        order_id: The order that used the hold up.
        replayed: Whether this refusal repeats that of an earlier call with
            the same idempotency key.
        retry_after: In how many seconds trying again makes sense; `None` when
            it never does.

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
        """Pickle it whole: the state is its attributes."""
        return type(self), (self.message,), self.__dict__


class InvalidArgumentError(StockadeError, ValueError):
    """The request makes no sense; it will never succeed as it is."""

    code = "invalid_argument"


class QuantityLimitError(StockadeError):
    """More units than one hold may have, or one customer."""

    code = "quantity_limit"


class NotFoundError(StockadeError, LookupError):
    """No such product, hold or order."""

    code = "not_found"


class ProductMismatchError(StockadeError):
    """The hold is of another product; it was left as it is."""

    code = "product_mismatch"


class InsufficientStockError(StockadeError):
    """Not enough stock; `available` and `short` say how much there is."""

    code = "insufficient_stock"


class HoldExpiredError(StockadeError):
    """The hold's time is over, or it was released; its stock is back."""

    code = "hold_expired"


class HoldAlreadyUsedError(StockadeError):
    """The hold became an order before; `order_id` names it."""

    code = "hold_already_used"


class IdempotencyMismatchError(StockadeError):
    """The idempotency key was used for another request."""

    code = "idempotency_mismatch"


class ContentionError(StockadeError):
    """Too many ask at once; nothing changed. Try again after `retry_after`."""

    code = "contention"


class UnavailableError(StockadeError):
    """The store or the network is gone.

    Nothing is half done; with an idempotency key the request can be repeated
    safely.
    """

    code = "unavailable"


class UnauthorizedError(StockadeError):
    """A secret is missing or wrong."""

    code = "unauthorized"


class MisuseError(StockadeError):
    """The engine cannot be used so: it is closed, or a fork lies in between."""

    code = "misuse"


class InternalError(StockadeError):
    """A fault of Stockade or of its store's content; nothing changed."""

    code = "internal"


class VersionMismatchError(StockadeError):
    """The product was changed since the caller read it; nothing changed now."""

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
