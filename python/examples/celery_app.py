"""Stockade beside Celery: `celery -A celery_app worker --beat`.

    STOCKADE_STORE=unix:///run/stockade.sock CELERY_BROKER=redis://127.0.0.1 celery -A …

Each worker process opens an engine of its own after the fork. A task may run twice: its
calls carry an idempotency key made of what the task is for, so that the second run gets
the first one's answer.
"""

from __future__ import annotations

import functools
import os

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from stockade import ContentionError, Engine, InsufficientStockError, UnavailableError

app = Celery("shop", broker=os.environ["CELERY_BROKER"], backend=os.environ.get("CELERY_RESULTS"))
app.conf.update(
    # A task is acknowledged when it is done: one whose worker dies runs again.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    beat_schedule={"audit": {"task": "celery_app.audit", "schedule": 3600.0}},
)


@functools.cache
def engine() -> Engine:
    """Open this process's engine on first use."""
    return Engine(os.environ["STOCKADE_STORE"])


@worker_process_init.connect
def forget_parents_engine(**_: object) -> None:
    """Drop what the parent had: an engine does not outlive a fork."""
    engine.cache_clear()


@worker_process_shutdown.connect
def close_engine(**_: object) -> None:
    """Close the engine with its process."""
    if engine.cache_info().currsize:
        engine().close()


@app.task(
    bind=False,
    # What may pass is tried again; a refusal such as `insufficient_stock` is not.
    autoretry_for=(ContentionError, UnavailableError),
    retry_backoff=True,
    max_retries=10,
)
def buy(cart: str, product_id: int, quantity: int) -> int | None:
    """Order units for a cart, once however often the task runs; None if they are gone."""
    try:
        hold = engine().create_hold(product_id, quantity, key=f"{cart}-hold")
    except InsufficientStockError:
        return None
    return engine().create_order(hold, key=f"{cart}-order").id


@app.task
def audit() -> bool:
    """Recount every product."""
    return engine().audit().consistent
