from collections.abc import Coroutine, Generator, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import GenericAlias, TracebackType
from typing import Any, Final, Generic, Self, TypeAlias, TypeVar, Unpack, final, overload

from typing_extensions import disjoint_base

from stockade._model import (
    AuditReport,
    Cart,
    CartLine,
    Erased,
    Event,
    Hold,
    HoldPage,
    HoldRequest,
    Order,
    OrderPage,
    PaymentReceipt,
    Product,
    ProductPage,
    PutOutcome,
    PutProduct,
    SweepReport,
    WaitingPayment,
    WaitingPaymentPage,
)
from stockade._settings import Duration, Settings
from stockade.exceptions import StockadeError

__all__ = [
    "ENUMS",
    "ERROR_CODES",
    "RELEASE_BUILD",
    "SETTINGS",
    "AsyncEngine",
    "Call",
    "Engine",
    "HoldCall",
    "__version__",
    "stop_log",
    "take_log",
]

_T = TypeVar("_T")
_Number: TypeAlias = int | str
_Line: TypeAlias = tuple[_Number, _Number] | Sequence[_Number]
_Money: TypeAlias = Decimal | int | str
_Metadata: TypeAlias = Mapping[str, Any] | str
_Moment: TypeAlias = datetime | str
_OrderedHold: TypeAlias = Hold | _Number | tuple[_Number, str | None]

__version__: Final[str]
RELEASE_BUILD: Final[bool]
"""Whether the engine was built with optimizations."""
ERROR_CODES: Final[list[tuple[int, str]]]
"""Number and code of each of the engine's errors."""
ENUMS: Final[list[tuple[str, list[str]]]]
"""Name and words of each of the engine's enums."""
SETTINGS: Final[list[tuple[str, str, str]]]
"""Name, default and meaning of each of the engine's settings."""

def take_log() -> list[tuple[int, str, str]] | None:
    """Wait for lines of the engine's log; `None` once it was stopped."""

def stop_log() -> None:
    """End the log once the lines that were written are taken."""

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
    def _is_opener(self) -> bool: ...
    def _advance_clock(self, by: Duration) -> datetime: ...
    @property
    def closed(self) -> bool:
        """Whether `close` was called."""

    def product(self, product_id: _Number) -> Product:
        """Read a product, from the cache if the entry is fresh.

        Args:
            product_id: The product's id, or `sku:` and its SKU, as wherever a call
                takes a product.

        Raises:
            InvalidArgumentError, NotFoundError, UnavailableError.

        """

    def products(self, after: _Number | None = None, limit: int = 100) -> ProductPage:
        """Read up to `limit` (1 to 1,000) products with ids above `after`.

        Archived ones are among them.

        Raises:
            InvalidArgumentError: Another limit.
            UnavailableError.

        """

    def create_product(
        self,
        name: str,
        price: _Money,
        stock: int = 0,
        *,
        id: int | None = None,  # noqa: A002 as in every face
        sku: str | None = None,
        currency: str | None = None,
        metadata: _Metadata | None = None,
        on_sale_from: _Moment | None = None,
        on_sale_until: _Moment | None = None,
        safety_stock: int = 0,
        key: str | None = None,
    ) -> Product:
        """Create a product.

        Args:
            name: The name.
            price: The unit price.
            stock: The units in stock.
            id: The id, from 1 to 2**53 - 1; default: one that no product has.
            sku: The shop's own id of the product, of 1 to 128 characters, compared
                byte by byte. No two products have the same.
            currency: The currency of the price; default: the setting `currency`.
            metadata: What the shop keeps with it: a mapping, or the text of a JSON
                object of at most 4 KiB, which is kept as it comes.
            on_sale_from: When it begins to be sold: a datetime with a time zone, or
                a text such as `2026-11-27T08:00:00Z`.
            on_sale_until: When it ends to be sold.
            safety_stock: Units in stock that holds do not take.
            key: The idempotency key: a repeated key returns the same product.

        Raises:
            AlreadyExistsError: `product_id` names the product that has the id or the
                SKU.
            InvalidArgumentError, IdempotencyMismatchError, ContentionError,
            UnavailableError.

        """

    def put_product(
        self,
        product: _Number,
        name: str,
        price: _Money,
        *,
        currency: str | None = None,
        sku: str | None = None,
        metadata: _Metadata | None = None,
        on_sale_from: _Moment | None = None,
        on_sale_until: _Moment | None = None,
        safety_stock: int = 0,
        stock: int | None = None,
        version: int | None = None,
    ) -> PutOutcome:
        """Make a product, or replace what it is.

        What is not given is reset to its default, but for the units in stock. A
        product that is archived stays so.

        Args:
            product: The product, which is made with this id or this SKU if there is
                none.
            name: The name.
            price: The unit price.
            currency: As in `create_product`.
            sku: Default: the one that names the product, else none.
            metadata: As in `create_product`.
            on_sale_from: As in `create_product`.
            on_sale_until: As in `create_product`.
            safety_stock: As in `create_product`.
            stock: The units in stock that it shall have, which an adjustment with
                the reason `import` sees to; default: those that it has.
            version: The version that the caller expects.

        Raises:
            AlreadyExistsError: `product_id` names the product that has the SKU.
            VersionMismatchError: The product has another version, or there is none.
            InvalidArgumentError, ContentionError, UnavailableError.

        """

    def put_products(self, requests: Iterable[PutProduct]) -> list[PutOutcome | StockadeError]:
        """Make or replace many products by one call, each on its own, as an import does.

        They are written many at a time, in no order: one that needs another's SKU
        goes into a later call.

        Args:
            requests: At most 65,536 `PutProduct` objects.

        Returns:
            For each request, in the same order, its outcome, or the exception that
            `put_product` would have raised. An invalid request costs only itself.

        Raises:
            TypeError: A request is no `PutProduct`, or a text is not a `str`.
            InvalidArgumentError: Too many requests.
            UnavailableError: Each request took effect in whole or not at all.
            MisuseError.

        """

    def change_product(
        self,
        product: _Number,
        *,
        name: str | None = None,
        price: _Money | None = None,
        currency: str | None = None,
        sku: str | None = ...,
        metadata: _Metadata | None = ...,
        on_sale_from: _Moment | None = ...,
        on_sale_until: _Moment | None = ...,
        safety_stock: int | None = None,
        archived: bool | None = None,
        stock: int | None = None,
        version: int | None = None,
    ) -> Product:
        """Change what is given of a product, archive it or sell it again.

            engine.change_product("sku:LAMP", price="17.50", on_sale_until=None)
            engine.change_product(lamp.id, archived=True)

        All else stays, and so does what was held or ordered before.

        Args:
            product: The product.
            name: The name.
            price: The unit price.
            currency: The currency. The price, changed or not, must fit its decimals.
            sku: The SKU; `None` takes it away.
            metadata: As in `create_product`; `None` takes it away.
            on_sale_from: As in `create_product`; `None`: at once.
            on_sale_until: As in `create_product`; `None`: never.
            safety_stock: Units in stock that holds do not take.
            archived: Whether it is no longer sold.
            stock: The units in stock that it shall have, which an adjustment with
                the reason `import` sees to.
            version: The version that the caller expects.

        Raises:
            AlreadyExistsError: `product_id` names the product that has the SKU.
            VersionMismatchError: The product has another version.
            InvalidArgumentError, NotFoundError, ContentionError, UnavailableError.

        """

    def adjust_stock(
        self,
        product_id: _Number,
        delta: int | None = None,
        reason: str = "",
        *,
        to: int | None = None,
        key: str | None = None,
        version: int | None = None,
    ) -> Product:
        """Adjust stock: receive goods, write them off, or set what a count found.

        Args:
            product_id: The product.
            delta: Units received, or written off if negative; not 0.
            reason: The reason, for the log and the event.
            to: The units in stock that it shall have, instead of `delta`.
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
        at_most: bool = False,
        metadata: _Metadata | None = None,
    ) -> Hold:
        """Hold units of one product for `ttl`, by default the setting `hold_ttl`.

        The hold is a context manager. Leaving the block releases the hold,
        with or without an error, unless it was ordered:

            with engine.create_hold(lamp.id, 2) as hold:
                order = engine.create_order(hold)

        To keep a hold beyond a block of code, as from one web request to the
        next, do not enter it.

        Args:
            product_id: The product's id, or `sku:` and its SKU.
            quantity: Units, from 1 to the setting `max_per_hold`.
            ttl: A `timedelta`, seconds, or a text such as `90s`.
            key: The idempotency key: a repeated key replays the first response.
            customer: The customer, any identifier
                of 1 to 255 bytes; under the setting `max_per_customer` the
                holds of one customer count together.
            at_most: Whether to take what is left, at least one unit, where
                fewer than `quantity` can be held; limits apply to `quantity`.
            metadata: As in `create_product`.

        Raises:
            InsufficientStockError: `available` gives the available units.
            NotOnSaleError: `off_sale` and `moment` say why.
            InvalidArgumentError, QuantityLimitError, NotFoundError,
            IdempotencyMismatchError, ContentionError, UnavailableError.

        """

    def create_holds(
        self,
        items: Mapping[int, _Number] | Mapping[str, _Number] | Iterable[CartLine | _Line],
        *,
        ttl: Duration | None = None,
        key: str | None = None,
        customer: str | None = None,
        metadata: _Metadata | None = None,
    ) -> Cart:
        """Hold several products atomically: all or none.

        Args:
            items: Quantity by product, `CartLine` objects, or pairs (tuples or
                lists) of product and quantity; repeated products are summed.
            ttl: As in `create_hold`.
            key: As in `create_hold`.
            customer: As in `create_hold`.
            metadata: As in `create_product`, for each of the holds.

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
            token: The hold's token or its cart's; a `Hold` object carries its own.
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

    def change_quantity(
        self,
        hold: Hold | _Number,
        quantity: _Number,
        *,
        key: str | None = None,
        token: str | None = None,
    ) -> Hold:
        """Give an active hold another quantity; its end and token stay.

        Args:
            hold: The hold, or its id.
            quantity: Units, from 1 to the setting `max_per_hold`. More are taken
                from stock, or nothing changes; fewer return the others at once.
            key: The idempotency key: a repeated key replays the first response.
            token: As in `release_hold`.

        Raises:
            InsufficientStockError: `available` gives the units beyond those held.
            NotOnSaleError: For more units.
            HoldExpiredError: It has expired or was released.
            HoldAlreadyUsedError: It became an order.
            UnauthorizedError: The token is invalid or missing.
            InvalidArgumentError, QuantityLimitError, NotFoundError,
            IdempotencyMismatchError, ContentionError, UnavailableError.

        """

    def cart(self, cart_id: _Number) -> Cart:
        """Read the current state of a cart's holds.

        Raises:
            NotFoundError, UnavailableError.

        """

    def release_cart(self, cart: Cart | _Number, *, token: str | None = None) -> Cart:
        """Release the active holds of a cart; the status of each says what became of it.

        Args:
            cart: The cart, or its id.
            token: The cart's token; a `Cart` object carries its own.

        Raises:
            UnauthorizedError: The token is invalid or missing.
            InvalidArgumentError, NotFoundError, ContentionError, UnavailableError.

        """

    def extend_cart(
        self,
        cart: Cart | _Number,
        ttl: Duration | None = None,
        *,
        token: str | None = None,
    ) -> Cart:
        """Extend all holds of a cart, or none, to one common end; never shortens it.

        Args:
            cart: The cart, or its id.
            ttl: As in `create_hold`.
            token: As in `release_cart`.

        Raises:
            HoldExpiredError: One has expired or was released.
            HoldAlreadyUsedError: One became an order.
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
        hold: Hold | _Number | Cart | Iterable[_OrderedHold],
        product_id: _Number | None = None,
        *,
        amount: Decimal | int | str | None = None,
        currency: str | None = None,
        reference: str | None = None,
        payment_ttl: Duration | None = None,
        key: str | None = None,
        token: str | None = None,
        metadata: _Metadata | None = None,
    ) -> Order:
        """Turn active holds into one order, all or none.

            order = engine.create_order(hold)
            order = engine.create_order(cart, reference="2026-1004")
            order = engine.create_order([(hold_id, token), other_hold])

        Payment events that arrived before it are applied immediately, so the order
        may already be paid or cancelled.

        Args:
            hold: The hold, or its id. For several holds a `Cart`, or an iterable of
                holds, ids, and pairs of id and token; they become the lines in this
                order.
            product_id: The product that the caller expects; required
                with an id.
            amount: The amount to pay, with shipping and coupons for example; default:
                the sum of the lines.
            currency: The currency that the products must have; default: any, the same
                for all.
            reference: The shop's own number of the order; no two orders have the same.
            payment_ttl: How long it may stay unpaid, up to the setting
                `payment_ttl_max`; default: the setting `payment_ttl`.
            key: The idempotency key: a repeated key replays the first response.
            token: As in `release_hold`, for one hold.
            metadata: As in `create_product`.

        Raises:
            HoldExpiredError: It has expired or was released.
            HoldAlreadyUsedError: `order_id` names the order that used it.
            AlreadyExistsError: `order_id` names the order that has the reference.
            UnauthorizedError: The token is invalid or missing.
            InvalidArgumentError, NotFoundError, ProductMismatchError,
            IdempotencyMismatchError, ContentionError, UnavailableError.
            Of several holds the first that cannot be used decides; `holds` names all.

        """

    def order(self, order_id: _Number) -> Order:
        """Read the current state of an order.

        Raises:
            NotFoundError, UnavailableError.

        """

    def order_by_reference(self, reference: str) -> Order:
        """Find the order with the shop's own number.

        Raises:
            InvalidArgumentError, NotFoundError, UnavailableError.

        """

    def order_by_payment(self, provider: str, reference: str) -> Order:
        """Find the order to which a provider's name of a payment is tied.

        Raises:
            InvalidArgumentError, NotFoundError, UnavailableError.

        """

    def extend_order(self, order_id: _Number, ttl: Duration | None = None) -> Order:
        """Let a pending order be paid until `ttl` from now; never shortens it.

        Args:
            order_id: The order.
            ttl: Default: the setting `payment_ttl`. The order never waits longer than
                the setting `payment_ttl_max` after its creation.

        Raises:
            AlreadyPaidError, OrderCancelledError, InvalidArgumentError,
            NotFoundError, ContentionError, UnavailableError.

        """

    def cancel_order(self, order_id: _Number, *, reason: str | None = None) -> Order:
        """Cancel a pending order for good and return its units to stock.

        Money that comes later must be refunded. An order that is cancelled already
        is not changed.

        Args:
            order_id: The order.
            reason: The reason, for the event.

        Raises:
            AlreadyPaidError: It can be refunded.
            InvalidArgumentError, NotFoundError, ContentionError, UnavailableError.

        """

    def refund_order(
        self,
        order_id: _Number,
        *,
        lines: Mapping[int, _Number] | Iterable[_Line] | None = None,
        amount: Decimal | int | str | None = None,
        restock: bool = False,
        owed: bool = False,
        reason: str | None = None,
        key: str | None = None,
    ) -> Order:
        """Refund a paid order: money, units, or both.

        Without `lines` and `amount`: all that is left of both.

        Args:
            order_id: The order.
            lines: Quantity by line number, or pairs of them: the units to give back,
                and their price unless there is an `amount`.
            amount: The money to give back; without `lines` it moves no unit.
            restock: Whether the units are for sale again; otherwise they count as
                `returned`.
            owed: Settle money that must be refunded (`needs_refund`), and nothing else.
            reason: The reason, for the event.
            key: The idempotency key: a repeated key replays the first response.

        Raises:
            NotPaidError: It was never paid.
            RefundTooLargeError: Less money or fewer units are left.
            InvalidArgumentError, NotFoundError, IdempotencyMismatchError,
            ContentionError, UnavailableError.

        """

    def restock_order(
        self,
        order_id: _Number,
        *,
        lines: Mapping[int, _Number] | Iterable[_Line] | None = None,
        key: str | None = None,
    ) -> Order:
        """Sell returned units of a refunded order again.

        Args:
            order_id: The order.
            lines: As in `refund_order`; default: all units that are returned.
            key: The idempotency key: a repeated key replays the first response.

        Raises:
            NothingReturnedError: Fewer units are returned.
            InvalidArgumentError, NotFoundError, IdempotencyMismatchError,
            ContentionError, UnavailableError.

        """

    def set_payment_reference(self, order_id: _Number, provider: str, reference: str) -> Order:
        """Tie a provider's own name of a payment, such as `pi_3N`, to an order.

        Raises:
            AlreadyExistsError: `order_id` names the order that has the name.
            InvalidArgumentError, NotFoundError, ContentionError, UnavailableError.

        """

    def record_payment(
        self,
        outcome: str,
        *,
        order_id: _Number | None = None,
        payment_token: str | None = None,
        order_reference: str | None = None,
        amount: Decimal | int | str | None = None,
        currency: str | None = None,
        payment_reference: str | None = None,
        key: str | None = None,
    ) -> PaymentReceipt:
        """Apply a payment provider's event to its order.

        It is applied once per key however often it is delivered, even before
        the order exists, or before its payment is tied to the order.

        Args:
            outcome: An `Outcome`, or the provider's status, such as `paid`,
                `declined` or `chargeback`.
            order_id: The order, by its id.
            payment_token: The order, by its token.
            order_reference: The order, by the shop's own number, for an event without
                id and token.
            amount: The amount paid: a success with another amount than the order's
                does not pay it. Default: not compared.
            currency: The currency of the amount; default: the order's.
            payment_reference: The provider's own name of the payment, such as
                `stripe/pi_3N`: a success of another payment than the one that paid the
                order must be refunded. An event without id and token is for the order
                to which the payment is tied, rather than for that of `order_reference`.
            key: The event's idempotency key; derived if missing. A key that is reused
                for another order, outcome or amount is rejected.

        Raises:
            InvalidArgumentError: Also for another order's token, or if nothing names
                the order.
            IdempotencyMismatchError, ContentionError, UnavailableError.

        """

    def holds(
        self,
        *,
        customer: str | None = None,
        product_id: _Number | None = None,
        status: str | None = None,
        created_after: _Moment | None = None,
        created_before: _Moment | None = None,
        after: _Number | None = None,
        limit: int = 100,
    ) -> HoldPage:
        """Read one page of holds as they stand now, by ascending id.

        A hold must meet all conditions that are given. A page may have fewer than
        `limit`, or none, and not be the last: `next` says so. Lists show no token.

        Args:
            customer: Only holds of this customer.
            product_id: Only holds of this product.
            status: A `HoldStatus`; a hold that is due counts as expired.
            created_after: Only holds created at this time or after it: a datetime
                with a time zone, or a text such as `2026-11-27T08:00:00Z`.
            created_before: Only holds created before this time.
            after: The `next` of the page before.
            limit: The most holds of a page, from 1 to 1,000.

        Raises:
            InvalidArgumentError, UnavailableError.

        """

    def orders(
        self,
        *,
        customer: str | None = None,
        product_id: _Number | None = None,
        status: str | None = None,
        disposition: str | None = None,
        reference: str | None = None,
        payment_reference: str | None = None,
        created_after: _Moment | None = None,
        created_before: _Moment | None = None,
        after: _Number | None = None,
        limit: int = 100,
    ) -> OrderPage:
        """Read one page of orders as they stand now, by ascending id.

        An order must meet all conditions that are given. A page may have fewer than
        `limit`, or none, and not be the last: `next` says so. Lists show no payment
        token.

            for order in engine.iter_orders(disposition="needs_refund"):
                print(order.id)

        Args:
            customer: Only orders of this customer.
            product_id: Only orders with a line of this product.
            status: An `OrderStatus`; an order that is due counts as cancelled.
            disposition: A `PaymentDisposition`.
            reference: Only the order with this number of the shop.
            payment_reference: Only the order to which this provider's name of a
                payment is tied, such as `stripe/pi_3N`.
            created_after: As in `holds`.
            created_before: As in `holds`.
            after: The `next` of the page before.
            limit: The most orders of a page, from 1 to 1,000.

        Raises:
            InvalidArgumentError, UnavailableError.

        """

    def waiting_payments(self, after: str | None = None, limit: int = 100) -> WaitingPaymentPage:
        """Read payment events that wait for their order, the oldest first.

        Args:
            after: The `next` of the page before.
            limit: The most events of a page, from 1 to 1,000.

        Raises:
            InvalidArgumentError, UnavailableError.

        """

    def remove_waiting_payment(self, key: str) -> WaitingPayment:
        """Take the payment event with this key from those that wait, and return it.

        It stays recorded, and is never applied.

        Raises:
            NotFoundError: No event with this key waits.
            UnavailableError.

        """

    def erase_customer(self, customer: str) -> Erased:
        """Replace a customer's name wherever the store keeps it.

        A later request by this name is of a new customer. One that is not known is
        no error. Events that were delivered, backups and the database's own logs
        stay as they are.

        Raises:
            InvalidArgumentError, UnavailableError.

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

    def acting_as(self, actor: str) -> Self:
        """Return another handle to the same engine, for one of its users.

        The events of what is asked for through it have `actor`, and orders made
        through it have it as `created_by`:

            clerk = engine.acting_as("warehouse")
            clerk.adjust_stock(lamp.id, -1, "broken")

        It is of the same class, with the same attributes. Closing a handle closes the
        engine; leaving a `with` block of this one does not.

        Args:
            actor: The user, such as a clerk or an API key: 1 to 255 bytes without
                control characters.

        Raises:
            InvalidArgumentError, MisuseError.

        """

    def metrics_text(self) -> str:
        """Return the engine's metrics as OpenMetrics text, without the final `# EOF`."""

    def close(self) -> None:
        """Drain queued requests, reject new ones, then close the store.

        All handles to the engine are closed by it. Closing again does nothing.
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
    def _is_opener(self) -> bool: ...
    def _advance_clock(self, by: Duration) -> Call[datetime]: ...
    @property
    def closed(self) -> bool: ...
    def product(self, product_id: _Number) -> Call[Product]: ...
    def products(self, after: _Number | None = None, limit: int = 100) -> Call[ProductPage]: ...
    def create_product(
        self,
        name: str,
        price: _Money,
        stock: int = 0,
        *,
        id: int | None = None,  # noqa: A002 as in every face
        sku: str | None = None,
        currency: str | None = None,
        metadata: _Metadata | None = None,
        on_sale_from: _Moment | None = None,
        on_sale_until: _Moment | None = None,
        safety_stock: int = 0,
        key: str | None = None,
    ) -> Call[Product]: ...
    def put_product(
        self,
        product: _Number,
        name: str,
        price: _Money,
        *,
        currency: str | None = None,
        sku: str | None = None,
        metadata: _Metadata | None = None,
        on_sale_from: _Moment | None = None,
        on_sale_until: _Moment | None = None,
        safety_stock: int = 0,
        stock: int | None = None,
        version: int | None = None,
    ) -> Call[PutOutcome]: ...
    def put_products(
        self, requests: Iterable[PutProduct]
    ) -> Call[list[PutOutcome | StockadeError]]: ...
    def change_product(
        self,
        product: _Number,
        *,
        name: str | None = None,
        price: _Money | None = None,
        currency: str | None = None,
        sku: str | None = ...,
        metadata: _Metadata | None = ...,
        on_sale_from: _Moment | None = ...,
        on_sale_until: _Moment | None = ...,
        safety_stock: int | None = None,
        archived: bool | None = None,
        stock: int | None = None,
        version: int | None = None,
    ) -> Call[Product]: ...
    def adjust_stock(
        self,
        product_id: _Number,
        delta: int | None = None,
        reason: str = "",
        *,
        to: int | None = None,
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
        at_most: bool = False,
        metadata: _Metadata | None = None,
    ) -> HoldCall[Hold]: ...
    def create_holds(
        self,
        items: Mapping[int, _Number] | Mapping[str, _Number] | Iterable[CartLine | _Line],
        *,
        ttl: Duration | None = None,
        key: str | None = None,
        customer: str | None = None,
        metadata: _Metadata | None = None,
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
    def change_quantity(
        self,
        hold: Hold | _Number,
        quantity: _Number,
        *,
        key: str | None = None,
        token: str | None = None,
    ) -> Call[Hold]: ...
    def cart(self, cart_id: _Number) -> Call[Cart]: ...
    def release_cart(self, cart: Cart | _Number, *, token: str | None = None) -> Call[Cart]: ...
    def extend_cart(
        self,
        cart: Cart | _Number,
        ttl: Duration | None = None,
        *,
        token: str | None = None,
    ) -> Call[Cart]: ...
    def hold(self, hold_id: _Number) -> Call[Hold]: ...
    def create_order(
        self,
        hold: Hold | _Number | Cart | Iterable[_OrderedHold],
        product_id: _Number | None = None,
        *,
        amount: Decimal | int | str | None = None,
        currency: str | None = None,
        reference: str | None = None,
        payment_ttl: Duration | None = None,
        key: str | None = None,
        token: str | None = None,
        metadata: _Metadata | None = None,
    ) -> Call[Order]: ...
    def order(self, order_id: _Number) -> Call[Order]: ...
    def order_by_reference(self, reference: str) -> Call[Order]: ...
    def order_by_payment(self, provider: str, reference: str) -> Call[Order]: ...
    def extend_order(self, order_id: _Number, ttl: Duration | None = None) -> Call[Order]: ...
    def cancel_order(self, order_id: _Number, *, reason: str | None = None) -> Call[Order]: ...
    def refund_order(
        self,
        order_id: _Number,
        *,
        lines: Mapping[int, _Number] | Iterable[_Line] | None = None,
        amount: Decimal | int | str | None = None,
        restock: bool = False,
        owed: bool = False,
        reason: str | None = None,
        key: str | None = None,
    ) -> Call[Order]: ...
    def restock_order(
        self,
        order_id: _Number,
        *,
        lines: Mapping[int, _Number] | Iterable[_Line] | None = None,
        key: str | None = None,
    ) -> Call[Order]: ...
    def set_payment_reference(
        self, order_id: _Number, provider: str, reference: str
    ) -> Call[Order]: ...
    def record_payment(
        self,
        outcome: str,
        *,
        order_id: _Number | None = None,
        payment_token: str | None = None,
        order_reference: str | None = None,
        amount: Decimal | int | str | None = None,
        currency: str | None = None,
        payment_reference: str | None = None,
        key: str | None = None,
    ) -> Call[PaymentReceipt]: ...
    def holds(
        self,
        *,
        customer: str | None = None,
        product_id: _Number | None = None,
        status: str | None = None,
        created_after: _Moment | None = None,
        created_before: _Moment | None = None,
        after: _Number | None = None,
        limit: int = 100,
    ) -> Call[HoldPage]: ...
    def orders(
        self,
        *,
        customer: str | None = None,
        product_id: _Number | None = None,
        status: str | None = None,
        disposition: str | None = None,
        reference: str | None = None,
        payment_reference: str | None = None,
        created_after: _Moment | None = None,
        created_before: _Moment | None = None,
        after: _Number | None = None,
        limit: int = 100,
    ) -> Call[OrderPage]: ...
    def waiting_payments(
        self, after: str | None = None, limit: int = 100
    ) -> Call[WaitingPaymentPage]: ...
    def remove_waiting_payment(self, key: str) -> Call[WaitingPayment]: ...
    def erase_customer(self, customer: str) -> Call[Erased]: ...
    def sweep(self) -> Call[SweepReport]: ...
    def audit(self) -> Call[AuditReport]: ...
    def events_after(self, cursor: int = 0, limit: int = 100) -> Call[list[Event]]: ...
    def ping(self) -> Call[None]: ...
    def acting_as(self, actor: str) -> Self: ...
    def metrics_text(self) -> str: ...
    def close(self) -> Call[None]: ...
