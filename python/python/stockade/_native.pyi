from collections.abc import Coroutine, Generator, Iterable, Mapping, Sequence
from decimal import Decimal
from types import GenericAlias, TracebackType
from typing import Any, Final, Generic, Self, TypeAlias, TypeVar, Unpack, final, overload

from typing_extensions import Buffer, disjoint_base

from stockade._model import (
    AuditReport,
    Cart,
    Event,
    Hold,
    Order,
    PaymentReceipt,
    Product,
    ProductPage,
    SweepReport,
)
from stockade._settings import Duration, Settings

__all__ = [
    "ERROR_CODES",
    "RELEASE_BUILD",
    "SETTINGS",
    "AsyncEngine",
    "Call",
    "Engine",
    "HoldCall",
    "__version__",
]

_T = TypeVar("_T")
_Number: TypeAlias = int | str
_Line: TypeAlias = tuple[_Number, _Number] | Sequence[_Number]

__version__: Final[str]
RELEASE_BUILD: Final[bool]
"""Whether the engine was built with optimisations."""
ERROR_CODES: Final[list[tuple[int, str]]]
"""Number and code of each of the engine's errors."""
SETTINGS: Final[list[tuple[str, str, str]]]
"""Name, default and meaning of each of the engine's settings."""

@disjoint_base
class Call(Coroutine[Any, Any, _T], Generic[_T]):
    """A call of an `AsyncEngine`: a coroutine.

    It begins when it is awaited. Giving it up drops it in the engine: the
    request is then done whole or not at all.
    """

    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    def __await__(self) -> Generator[Any, Any, _T]: ...
    def __iter__(self) -> Generator[Any, Any, _T]: ...
    def __next__(self) -> Any: ...
    def send(self, value: Any) -> Any: ...
    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> Any: ...
    def close(self) -> None: ...

@final
class HoldCall(Call[_T]):
    """A call that makes holds: awaited, or entered by `async with`."""

    def __aenter__(self) -> Self: ...
    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> Coroutine[Any, Any, None]: ...

@disjoint_base
class Engine:
    @overload
    def __new__(cls, store: str, **settings: Unpack[Settings]) -> Self:
        """Open an engine on a store with these settings.

        Settings read from a file or the environment may all be texts.

        After a fork the child opens an engine of its own. Fork before an
        engine is opened on SQLite, or start the child by spawn, and it always
        opens. In the child of a process that had opened one, opening an engine
        on SQLite never hangs: it opens, or raises `MisuseError`, at once where
        the parent had the same file open, and within 10 seconds where another
        of its threads was inside SQLite at the fork.

        Raises:
            InvalidArgumentError: A URL of no known store, or a setting that
                does not fit.
            UnavailableError: The store cannot be reached.
            MisuseError: In a forked child, as above.

        """

    @overload
    def __new__(cls, store: str, **settings: str) -> Self: ...
    @property
    def closed(self) -> bool:
        """Whether `close` was called."""

    def product(self, product_id: _Number) -> Product:
        """Read a product, from the cache where that is fresh.

        Raises:
            NotFoundError, UnavailableError.

        """

    def products(self, after: _Number | None = None, limit: int = 100) -> ProductPage:
        """Read up to `limit` (1 to 1,000) products with ids above `after`.

        Raises:
            InvalidArgumentError: Another limit.
            UnavailableError.

        """

    def create_product(
        self,
        name: str,
        price: Decimal | int | str,
        stock: int = 0,
        *,
        key: str | None = None,
    ) -> Product:
        """Create a product.

        Args:
            name: What the shop calls it.
            price: The price of one unit.
            stock: Units received with it.
            key: The idempotency key: the same key answers the same product.

        Raises:
            InvalidArgumentError, IdempotencyMismatchError, UnavailableError.

        """

    def adjust_stock(
        self,
        product_id: _Number,
        delta: int,
        reason: str = "",
        *,
        key: str | None = None,
        version: int | None = None,
    ) -> Product:
        """Receive goods, or write them off when `delta` is negative.

        Args:
            product_id: The product.
            delta: Units received, or written off when negative; not 0.
            reason: Why, for the log.
            key: The idempotency key: the same key gets the same answer.
            version: The version that the caller saw.

        Raises:
            InsufficientStockError: Stock would go below zero.
            VersionMismatchError: The product has another version by now.
            InvalidArgumentError, NotFoundError, IdempotencyMismatchError,
            ContentionError, UnavailableError.

        """

    def hold(
        self,
        product_id: _Number,
        quantity: _Number,
        *,
        ttl: Duration | None = None,
        key: str | None = None,
        customer: str | None = None,
    ) -> Hold:
        """Hold units of one product for `ttl`, by default the setting `hold_ttl`.

        The hold is a context manager. Leaving the block releases the hold,
        after an error as without one, unless it was ordered:

            with engine.hold(lamp.id, 2) as hold:
                order = engine.order(hold)

        To keep a hold beyond a block of code, as from one web request to the
        next, do not enter it.

        Args:
            product_id: The product.
            quantity: Units, from 1 to the setting `max_per_hold`.
            ttl: A `timedelta`, seconds, or a text such as `90s`.
            key: The idempotency key: the same key gets the same answer.
            customer: Whom they are held for, by any word that names one buyer
                in 1 to 255 bytes; under the setting `max_per_customer` their
                holds count together.

        Raises:
            InsufficientStockError: `available` says how much there is.
            InvalidArgumentError, QuantityLimitError, NotFoundError,
            IdempotencyMismatchError, ContentionError, UnavailableError.

        """

    def hold_many(
        self,
        items: Mapping[int, _Number] | Mapping[str, _Number] | Iterable[_Line],
        *,
        ttl: Duration | None = None,
        key: str | None = None,
        customer: str | None = None,
    ) -> Cart:
        """Hold several products, all or none.

        Args:
            items: Quantity by product, or pairs (tuples or lists) of product
                and quantity; repeated products are summed.
            ttl: As `hold` has it.
            key: As `hold` has it.
            customer: As `hold` has it.

        Raises:
            InsufficientStockError: `short` names every short line.
            As `hold` else.

        """

    def release(self, hold: Hold | _Number, *, token: str | None = None) -> Hold:
        """Give a hold back; one that is over already stays as it is.

        Args:
            hold: The hold, or its id.
            token: The hold's, to show whose it is; a `Hold` brings its own.
                One that is not the hold's is refused, and none under the
                setting `require_hold_token`.

        Raises:
            HoldAlreadyUsedError: It became an order.
            UnauthorizedError: The token is wrong or missing.
            InvalidArgumentError, NotFoundError, ContentionError, UnavailableError.

        """

    def extend(
        self,
        hold: Hold | _Number,
        ttl: Duration | None = None,
        *,
        token: str | None = None,
    ) -> Hold:
        """Make an active hold live `ttl` from now on; it never gets shorter.

        Args:
            hold: The hold, or its id.
            ttl: As `hold` has it.
            token: As `release` has it.

        Raises:
            HoldExpiredError: Its time is over, or it was released.
            HoldAlreadyUsedError: It became an order.
            UnauthorizedError: The token is wrong or missing.
            InvalidArgumentError, NotFoundError, ContentionError, UnavailableError.

        """

    def get_hold(self, hold_id: _Number) -> Hold:
        """Read a hold as it stands now.

        Raises:
            NotFoundError, UnavailableError.

        """

    def order(
        self,
        hold: Hold | _Number,
        product_id: _Number | None = None,
        *,
        key: str | None = None,
        token: str | None = None,
    ) -> Order:
        """Turn an active hold into an order.

        Payment events that came before it are applied at once, so the order
        may be paid or cancelled already.

        Args:
            hold: The hold, or its id.
            product_id: The product that the caller believes is held; needed
                with an id.
            key: The idempotency key: the same key gets the same answer.
            token: As `release` has it.

        Raises:
            HoldExpiredError: Its time is over, or it was released.
            HoldAlreadyUsedError: `order_id` names the order that used it.
            UnauthorizedError: The token is wrong or missing.
            InvalidArgumentError, NotFoundError, ProductMismatchError,
            IdempotencyMismatchError, ContentionError, UnavailableError.

        """

    def get_order(self, order_id: _Number) -> Order:
        """Read an order as it stands now.

        Raises:
            NotFoundError, UnavailableError.

        """

    def payment(
        self,
        outcome: str,
        *,
        order_id: _Number | None = None,
        payment_token: str | None = None,
        key: str | None = None,
        body: Buffer | str | None = None,
    ) -> PaymentReceipt:
        """Take the payment provider's word on an order.

        It counts once for each key however often it comes, and also before
        the order is there.

        Args:
            outcome: An `Outcome`, or the provider's word, such as `paid` or
                `declined`.
            order_id: The order, by its id.
            payment_token: The order, by its token.
            key: The event's idempotency key; without one it is derived.
            body: What the event came in, as text or bytes-like: a key that
                returns with another body is refused.

        Raises:
            InvalidArgumentError: Also for a token that is not the order's.
            IdempotencyMismatchError, ContentionError, UnavailableError.

        """

    def sweep(self) -> SweepReport:
        """Take back all that is due now, without waiting for the sweeper.

        Raises:
            ContentionError, UnavailableError.

        """

    def audit(self) -> AuditReport:
        """Compare all of the store's numbers with each other, in one snapshot.

        Raises:
            UnavailableError.

        """

    def events_after(self, cursor: int = 0, limit: int = 100) -> list[Event]:
        """Read up to `limit` (1 to 10,000) events after `cursor`, 0 for the first.

        Raises:
            InvalidArgumentError: Another limit.
            UnavailableError.

        """

    def ping(self) -> None:
        """Reach for the store.

        Raises:
            UnavailableError.

        """

    def _noop(self) -> None:
        """Do nothing, to measure what a call costs."""

    def metrics_text(self) -> str:
        """Tell the engine's counters as OpenMetrics text, without the closing `# EOF`."""

    def close(self) -> None:
        """Serve what waits, refuse what comes, and let go of the store.

        Closing again does nothing.
        """

@disjoint_base
class AsyncEngine:
    """The calls of `Engine`, to be awaited: same arguments, answers and errors."""

    @overload
    def __new__(cls, store: str, **settings: Unpack[Settings]) -> Self: ...
    @overload
    def __new__(cls, store: str, **settings: str) -> Self: ...
    def _open(self) -> Call[None]: ...
    @property
    def closed(self) -> bool: ...
    def product(self, product_id: _Number) -> Call[Product]: ...
    def products(self, after: _Number | None = None, limit: int = 100) -> Call[ProductPage]: ...
    def create_product(
        self,
        name: str,
        price: Decimal | int | str,
        stock: int = 0,
        *,
        key: str | None = None,
    ) -> Call[Product]: ...
    def adjust_stock(
        self,
        product_id: _Number,
        delta: int,
        reason: str = "",
        *,
        key: str | None = None,
        version: int | None = None,
    ) -> Call[Product]: ...
    def hold(
        self,
        product_id: _Number,
        quantity: _Number,
        *,
        ttl: Duration | None = None,
        key: str | None = None,
        customer: str | None = None,
    ) -> HoldCall[Hold]: ...
    def hold_many(
        self,
        items: Mapping[int, _Number] | Mapping[str, _Number] | Iterable[_Line],
        *,
        ttl: Duration | None = None,
        key: str | None = None,
        customer: str | None = None,
    ) -> HoldCall[Cart]: ...
    def release(self, hold: Hold | _Number, *, token: str | None = None) -> Call[Hold]: ...
    def extend(
        self,
        hold: Hold | _Number,
        ttl: Duration | None = None,
        *,
        token: str | None = None,
    ) -> Call[Hold]: ...
    def get_hold(self, hold_id: _Number) -> Call[Hold]: ...
    def order(
        self,
        hold: Hold | _Number,
        product_id: _Number | None = None,
        *,
        key: str | None = None,
        token: str | None = None,
    ) -> Call[Order]: ...
    def get_order(self, order_id: _Number) -> Call[Order]: ...
    def payment(
        self,
        outcome: str,
        *,
        order_id: _Number | None = None,
        payment_token: str | None = None,
        key: str | None = None,
        body: Buffer | str | None = None,
    ) -> Call[PaymentReceipt]: ...
    def sweep(self) -> Call[SweepReport]: ...
    def audit(self) -> Call[AuditReport]: ...
    def events_after(self, cursor: int = 0, limit: int = 100) -> Call[list[Event]]: ...
    def ping(self) -> Call[None]: ...
    def _noop(self) -> Call[None]: ...
    def metrics_text(self) -> str: ...
    def close(self) -> Call[None]: ...
