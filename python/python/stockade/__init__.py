"""Stockade reserves stock: hold, order, payment and expiry, without overselling.

`Engine` is for threads and `AsyncEngine` for asyncio; both have the same calls.
The URL selects the store: `sqlite:shop.db`, `sqlite::memory:` or
`mysql://USER@HOST/DATABASE`, the last optionally with `redis=` for locks and
cache. It may also be a running engine that many processes share, of a
`stockade serve --unix`: `unix:///run/stockade.sock`, or `http://:KEY@HOST:PORT`.
Every error is a `StockadeError` with a stable `code`.
"""

from stockade._engine import AsyncEngine, Engine
from stockade._model import (
    AuditReport,
    Cart,
    Event,
    EventKind,
    Finding,
    Hold,
    HoldRequest,
    HoldStatus,
    LatePayment,
    Order,
    OrderStatus,
    Outcome,
    PaymentDisposition,
    PaymentReceipt,
    PaymentStatus,
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
    "HoldRequest",
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
    "PaymentDisposition",
    "PaymentReceipt",
    "PaymentStatus",
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
