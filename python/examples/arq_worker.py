"""Stockade beside arq: `arq arq_worker.Worker`.

    STOCKADE_STORE=unix:///run/stockade.sock ARQ_REDIS=redis://127.0.0.1 arq arq_worker.Worker

The worker opens one engine for its event loop. A job may run twice: its calls carry an
idempotency key made of what the job is for.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

from arq import Retry, cron
from arq.connections import RedisSettings

from stockade import AsyncEngine, ContentionError, InsufficientStockError, UnavailableError

Context = dict[str, Any]


async def open_engine(context: Context) -> None:
    """Open the worker's engine."""
    context["engine"] = await AsyncEngine.open(os.environ["STOCKADE_STORE"])


async def close_engine(context: Context) -> None:
    """Close the worker's engine."""
    await context["engine"].close()


async def buy(context: Context, cart: str, product_id: int, quantity: int) -> int | None:
    """Order units for a cart, once however often the job runs; None if they are gone."""
    engine: AsyncEngine = context["engine"]
    try:
        hold = await engine.create_hold(product_id, quantity, key=f"{cart}-hold")
        order = await engine.create_order(hold, key=f"{cart}-order")
    except InsufficientStockError:
        return None
    except (ContentionError, UnavailableError) as error:
        raise Retry(defer=error.retry_after or 1) from error
    return order.id


async def audit(context: Context) -> bool:
    """Recount every product."""
    engine: AsyncEngine = context["engine"]
    return (await engine.audit()).consistent


class Worker:
    """The settings of `arq arq_worker.Worker`."""

    functions: ClassVar[list[Any]] = [buy]
    cron_jobs: ClassVar[list[Any]] = [cron("arq_worker.audit", minute=0)]
    on_startup = open_engine
    on_shutdown = close_engine
    redis_settings = RedisSettings.from_dsn(os.environ.get("ARQ_REDIS", "redis://127.0.0.1"))
