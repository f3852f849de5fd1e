"""The engine of a Django process."""

from __future__ import annotations

import os
import threading
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from stockade._engine import Engine

_lock = threading.Lock()
"""Guards `_opened`; a plain lock, since opening does not call back."""
_opened: list[Engine] = []


def engine() -> Engine:
    """Return this process's engine, opened on first use by the setting `STOCKADE`.

    A forked worker opens its own, so that a server may load the app before it forks.

    Raises:
        ImproperlyConfigured: `STOCKADE` is missing or names no store.
        StockadeError: The store cannot be opened.

    """
    with _lock:
        if not _opened:
            _opened.append(Engine(**configuration()))
        return _opened[0]


def close_engine() -> None:
    """Close the engine, if there is one; the next call of `engine` opens another."""
    with _lock:
        while _opened:
            _opened.pop().close()


def configuration() -> dict[str, Any]:
    """Return the setting `STOCKADE`."""
    found = getattr(settings, "STOCKADE", None)
    if not isinstance(found, dict) or not isinstance(found.get("store"), str):
        raise ImproperlyConfigured('STOCKADE must be a dictionary with "store", the store\'s URL')
    return found


def webhook_secrets() -> list[str]:
    """Return the setting `STOCKADE_WEBHOOK_SECRETS`."""
    found = getattr(settings, "STOCKADE_WEBHOOK_SECRETS", None)
    is_list = isinstance(found, list | tuple) and all(isinstance(one, str) for one in found)
    if not is_list or not found or not all(found):
        raise ImproperlyConfigured(
            "STOCKADE_WEBHOOK_SECRETS must be a list of secrets: without one, anybody could "
            "say that an order is paid"
        )
    return list(found)


def _forget_after_fork() -> None:
    """Give a forked child a lock that nobody holds, and no engine of its parent."""
    global _lock, _opened
    _lock, _opened = threading.Lock(), []


def _reopen(*, setting: str, **_: object) -> None:
    if setting == "STOCKADE":
        close_engine()


os.register_at_fork(after_in_child=_forget_after_fork)
setting_changed.connect(_reopen)
