"""A sweeper process, for shops whose workers do not sweep: no queue needed.

An engine sweeps by itself unless told otherwise. Where many short-lived
workers open engines with `sweeper=False`, one such process does it for all:

    python sweeper.py sqlite:shop.db --every 1

Due stock is for sale whether or not a sweep has been by; sweeping only sees to
it that it is also counted where no one asks.
"""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from typing import TYPE_CHECKING

from stockade import Engine, StockadeError

if TYPE_CHECKING:
    from types import FrameType

log = logging.getLogger("sweeper")


def main() -> None:
    """Sweep until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    parser = argparse.ArgumentParser(description="Returns what is due.")
    parser.add_argument("store")
    parser.add_argument("--redis")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between sweeps")
    given = parser.parse_args()

    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with Engine(given.store, redis=given.redis, sweeper=False) as engine:
        while not stop.is_set():
            try:
                swept = engine.sweep()
            except StockadeError as error:
                log.warning("a sweep failed and is tried again: %s", error)
            else:
                if swept.holds_expired or swept.orders_cancelled:
                    log.info(
                        "%d holds expired, %d orders cancelled",
                        swept.holds_expired,
                        swept.orders_cancelled,
                    )
            stop.wait(given.every)


if __name__ == "__main__":
    main()
