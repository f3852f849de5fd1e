"""The settings of an engine, as keyword arguments."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, TypedDict

if TYPE_CHECKING:
    from stockade._model import LatePayment

Duration: TypeAlias = timedelta | float | str
"""A `timedelta`, seconds, or a text such as `90s`."""


class Settings(TypedDict, total=False):
    """All settings; `stockade.SETTINGS` describes them.

    A test compares this list with the engine's.
    """

    migrate: str
    clock: str
    redis: str | None
    redis_prefix: str
    redis_ca: str
    redis_cert: str
    redis_key: str
    currency: str
    hold_ttl: Duration
    hold_ttl_max: Duration
    payment_ttl: Duration
    payment_ttl_max: Duration
    failed_payment_grace: Duration
    late_payment: LatePayment | str
    max_per_hold: int
    max_per_customer: int
    customer_window: Duration
    early_payment_ttl: Duration
    cart_lines_max: int
    require_hold_token: bool
    strict: bool
    sweeper: bool
    sweep_batch: int
    cache_ttl: Duration
    cache_products: int
    queue_limit: int
    queue_wait: Duration
    batch_max: int
    connections: int
    store_timeout: Duration
    lock_wait: Duration
    retries: int
    lock_ttl: Duration
    lock_run: Duration
    idempotency_ttl: Duration
    retention: Duration
    order_retention: Duration
    remote_timeout: Duration
    remote_ca: str
    remote_reconnect: Duration
