"""The engine's log in `logging`, under the loggers `stockade.…`."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading

from stockade import _native

_STOP_SECONDS = 2.0
"""How long the end of the program waits for handlers that are busy."""


def start() -> None:
    """Start the thread that hands lines to `logging`, until the program ends."""
    thread = threading.Thread(target=_deliver, name="stockade-log", daemon=True)
    thread.start()
    atexit.register(_stop, thread)


def _deliver() -> None:
    while (lines := _native.take_log()) is not None:
        for level, name, message in lines:
            # What a filter of the program raises concerns one line, not the thread.
            with contextlib.suppress(Exception):
                logging.getLogger(name).log(level, "%s", message)


def _stop(thread: threading.Thread) -> None:
    _native.stop_log()
    thread.join(_STOP_SECONDS)
