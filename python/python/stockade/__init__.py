"""Stockade reserves stock: hold, order, payment and expiry, never a unit sold twice.

`Engine` is for threads and `AsyncEngine` for asyncio; both have the same calls.
The store is chosen by URL: `sqlite:shop.db`, `sqlite::memory:` or
`mysql://USER@HOST/DATABASE`, the last with `redis=` for lock and cache if there
is one. Or it is a running engine that many processes share, of a
`stockade serve --unix`: `unix:///run/stockade.sock`, or `http://:KEY@HOST:PORT`.
Every failure is a `StockadeError` with a stable `code`.
"""

from stockade._engine import AsyncEngine, Engine
from stockade._model import (
    AuditReport,
    Cart,
    Event,
    EventKind,
    Finding,
    Hold,
    HoldStatus,
    LatePayment,
    Order,
    OrderStatus,
    Outcome,
    PaymentAnswer,
    PaymentDisposition,
    PaymentReceipt,
    Product,
    ProductPage,
    SweepReport,
    Units,
)
from stockade._native import SETTINGS, Call, HoldCall, __version__
from stockade._webhook import SIGNATURE_HEADER, sign_webhook, verify_webhook
from stockade.exceptions import (
    ContentionError,
    HoldAlreadyUsedError,
    HoldExpiredError,
    IdempotencyMismatchError,
    InsufficientStockError,
    InternalError,
    InvalidArgumentError,
    MisuseError,
    NotFoundError,
    ProductMismatchError,
    QuantityLimitError,
    ShortLine,
    StockadeError,
    UnauthorizedError,
    UnavailableError,
    VersionMismatchError,
)

__all__ = [
    "SETTINGS",
    "SIGNATURE_HEADER",
    "AsyncEngine",
    "AuditReport",
    "Call",
    "Cart",
    "ContentionError",
    "Engine",
    "Event",
    "EventKind",
    "Finding",
    "Hold",
    "HoldAlreadyUsedError",
    "HoldCall",
    "HoldExpiredError",
    "HoldStatus",
    "IdempotencyMismatchError",
    "InsufficientStockError",
    "InternalError",
    "InvalidArgumentError",
    "LatePayment",
    "MisuseError",
    "NotFoundError",
    "Order",
    "OrderStatus",
    "Outcome",
    "PaymentAnswer",
    "PaymentDisposition",
    "PaymentReceipt",
    "Product",
    "ProductMismatchError",
    "ProductPage",
    "QuantityLimitError",
    "ShortLine",
    "StockadeError",
    "SweepReport",
    "UnauthorizedError",
    "UnavailableError",
    "Units",
    "VersionMismatchError",
    "__version__",
    "sign_webhook",
    "verify_webhook",
]
