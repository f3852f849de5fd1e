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
    HoldRequest,
    Order,
    PaymentReceipt,
    Product,
    ProductPage,
    SweepReport,
)
from stockade._settings import Duration, Settings
from stockade.exceptions import StockadeError

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
"""Whether the engine was built with optimizations."""
ERROR_CODES: Final[list[tuple[int, str]]]
"""Number and code of each of the engine's errors."""
SETTINGS: Final[list[tuple[str, str, str]]]
"""Name, default and meaning of each of the engine's settings."""

@disjoint_base
class Call(Coroutine[Any, Any, _T], Generic[_T]):
    """A call of an `AsyncEngine`: a coroutine.

    It starts when first awaited. Cancelling it drops it in the engine: the
    request then takes effect in whole or not at all.
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
    """A call that creates holds: awaited, or entered by `async with`."""

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

        All settings may be given as strings, as read from a file or the environment.

        After a fork the child opens its own engine. Fork before an
        engine is opened on SQLite, or start the child by spawn, and it always
        succeeds. In the child of a process that had opened one, opening an engine
        on SQLite never deadlocks: it succeeds or raises `MisuseError`, immediately if
        the parent had the same file open, within 10 seconds if another
        thread was inside SQLite at the fork.

        Raises:
            InvalidArgumentError: An unsupported URL, or an invalid
                setting.
            UnavailableError: The store is unreachable.
            MisuseError: In a forked child, as above.

        """

    @overload
    def __new__(cls, store: str, **settings: str) -> Self: ...
    @property
    def closed(self) -> bool:
        """Whether `close` was called."""

    def product(self, product_id: _Number) -> Product:
        """Read a product, from the cache if the entry is fresh.

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
            name: The name.
            price: The unit price.
            stock: The initial stock.
            key: The idempotency key: a repeated key returns the same product.

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
        """Adjust stock: receive goods, or write them off if `delta` is negative.

        Args:
            product_id: The product.
            delta: Units received, or written off if negative; not 0.
            reason: The reason, for the log.
            key: The idempotency key: a repeated key replays the first response.
            version: The version that the caller expects.

        Raises:
            InsufficientStockError: Stock would become negative.
            VersionMismatchError: The product has another version.
            InvalidArgumentError, NotFoundError, IdempotencyMismatchError,
            ContentionError, UnavailableError.

        """

    def create_hold(
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
        with or without an error, unless it was ordered:

            with engine.create_hold(lamp.id, 2) as hold:
                order = engine.create_order(hold)

        To keep a hold beyond a block of code, as from one web request to the
        next, do not enter it.

        Args:
            product_id: The product.
            quantity: Units, from 1 to the setting `max_per_hold`.
            ttl: A `timedelta`, seconds, or a text such as `90s`.
            key: The idempotency key: a repeated key replays the first response.
            customer: The customer, any identifier
                of 1 to 255 bytes; under the setting `max_per_customer` the
                holds of one customer count together.

        Raises:
            InsufficientStockError: `available` gives the available units.
            InvalidArgumentError, QuantityLimitError, NotFoundError,
            IdempotencyMismatchError, ContentionError, UnavailableError.

        """

    def create_holds(
        self,
        items: Mapping[int, _Number] | Mapping[str, _Number] | Iterable[_Line],
        *,
        ttl: Duration | None = None,
        key: str | None = None,
        customer: str | None = None,
    ) -> Cart:
        """Hold several products atomically: all or none.

        Args:
            items: Quantity by product, or pairs (tuples or lists) of product
                and quantity; repeated products are summed.
            ttl: As in `create_hold`.
            key: As in `create_hold`.
            customer: As in `create_hold`.

        Raises:
            InsufficientStockError: `short` lists every short line.
            Otherwise as `create_hold`.

        """

    def create_hold_batch(
        self, requests: Iterable[HoldRequest | _Line]
    ) -> list[Hold | StockadeError]:
        """Create many holds by one call, each on its own.

        Requests for one product are decided in their order. The call waits
        once for all of them:

            for result in engine.create_hold_batch([(lamp.id, 2), (desk.id, 1)]):
                if isinstance(result, Hold):
                    print(result.token)
                else:
                    print(result.code)

        Args:
            requests: At most 65,536 `HoldRequest` objects, or pairs (tuples or
                lists) of product and quantity.

        Returns:
            For each request, in the same order, its hold, or the exception that
            `create_hold` would have raised. An invalid request costs only itself.

        Raises:
            TypeError: A request is neither, or a text is not a `str`.
            InvalidArgumentError: Too many requests.
            UnavailableError: Each request took effect in whole or not at all.
            MisuseError.

        """

    def release_hold(self, hold: Hold | _Number, *, token: str | None = None) -> Hold:
        """Release a hold; one that is released or expired already is not changed.

        Args:
            hold: The hold, or its id.
            token: The hold's token; a `Hold` object carries its own.
                An invalid one is rejected, and a missing one under the
                setting `require_hold_token`.

        Raises:
            HoldAlreadyUsedError: It became an order.
            UnauthorizedError: The token is invalid or missing.
            InvalidArgumentError, NotFoundError, ContentionError, UnavailableError.

        """

    def extend_hold(
        self,
        hold: Hold | _Number,
        ttl: Duration | None = None,
        *,
        token: str | None = None,
    ) -> Hold:
        """Extend an active hold to `ttl` from now; never shortens it.

        Args:
            hold: The hold, or its id.
            ttl: As in `create_hold`.
            token: As in `release_hold`.

        Raises:
            HoldExpiredError: It has expired or was released.
            HoldAlreadyUsedError: It became an order.
            UnauthorizedError: The token is invalid or missing.
            InvalidArgumentError, NotFoundError, ContentionError, UnavailableError.

        """

    def hold(self, hold_id: _Number) -> Hold:
        """Read the current state of a hold.

        Raises:
            NotFoundError, UnavailableError.

        """

    def create_order(
        self,
        hold: Hold | _Number,
        product_id: _Number | None = None,
        *,
        key: str | None = None,
        token: str | None = None,
    ) -> Order:
        """Turn an active hold into an order.

        Payment events that arrived before it are applied immediately, so the order
        may already be paid or cancelled.

        Args:
            hold: The hold, or its id.
            product_id: The product that the caller expects; required
                with an id.
            key: The idempotency key: a repeated key replays the first response.
            token: As in `release_hold`.

        Raises:
            HoldExpiredError: It has expired or was released.
            HoldAlreadyUsedError: `order_id` names the order that used it.
            UnauthorizedError: The token is invalid or missing.
            InvalidArgumentError, NotFoundError, ProductMismatchError,
            IdempotencyMismatchError, ContentionError, UnavailableError.

        """

    def order(self, order_id: _Number) -> Order:
        """Read the current state of an order.

        Raises:
            NotFoundError, UnavailableError.

        """

    def record_payment(
        self,
        outcome: str,
        *,
        order_id: _Number | None = None,
        payment_token: str | None = None,
        key: str | None = None,
        body: Buffer | str | None = None,
    ) -> PaymentReceipt:
        """Apply a payment provider's event to its order.

        It is applied once per key however often it is delivered, even before
        the order exists.

        Args:
            outcome: An `Outcome`, or the provider's status, such as `paid` or
                `declined`.
            order_id: The order, by its id.
            payment_token: The order, by its token.
            key: The event's idempotency key; derived if missing.
            body: The body of the webhook, as text or bytes-like: a key that
                is reused with another body is rejected.

        Raises:
            InvalidArgumentError: Also for another order's token.
            IdempotencyMismatchError, ContentionError, UnavailableError.

        """

    def sweep(self) -> SweepReport:
        """Expire all due holds and unpaid orders now.

        Raises:
            ContentionError, UnavailableError.

        """

    def audit(self) -> AuditReport:
        """Check the consistency of all stock, in one snapshot of the store.

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
        """Check that the store is reachable.

        Raises:
            UnavailableError.

        """

    def metrics_text(self) -> str:
        """Return the engine's metrics as OpenMetrics text, without the final `# EOF`."""

    def close(self) -> None:
        """Drain queued requests, reject new ones, then close the store.

        Closing again does nothing.
        """

@disjoint_base
class AsyncEngine:
    """The calls of `Engine`, awaitable: same arguments, results and errors."""

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
    def create_hold(
        self,
        product_id: _Number,
        quantity: _Number,
        *,
        ttl: Duration | None = None,
        key: str | None = None,
        customer: str | None = None,
    ) -> HoldCall[Hold]: ...
    def create_holds(
        self,
        items: Mapping[int, _Number] | Mapping[str, _Number] | Iterable[_Line],
        *,
        ttl: Duration | None = None,
        key: str | None = None,
        customer: str | None = None,
    ) -> HoldCall[Cart]: ...
    def create_hold_batch(
        self, requests: Iterable[HoldRequest | _Line]
    ) -> Call[list[Hold | StockadeError]]: ...
    def release_hold(self, hold: Hold | _Number, *, token: str | None = None) -> Call[Hold]: ...
    def extend_hold(
        self,
        hold: Hold | _Number,
        ttl: Duration | None = None,
        *,
        token: str | None = None,
    ) -> Call[Hold]: ...
    def hold(self, hold_id: _Number) -> Call[Hold]: ...
    def create_order(
        self,
        hold: Hold | _Number,
        product_id: _Number | None = None,
        *,
        key: str | None = None,
        token: str | None = None,
    ) -> Call[Order]: ...
    def order(self, order_id: _Number) -> Call[Order]: ...
    def record_payment(
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
    def metrics_text(self) -> str: ...
    def close(self) -> Call[None]: ...
