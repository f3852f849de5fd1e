"""Stockade in Django: an engine for each process, checks, commands, a webhook, signals.

    INSTALLED_APPS = [..., "stockade.django"]
    STOCKADE = {"store": "unix:///run/stockade.sock"}
    STOCKADE_WEBHOOK_SECRETS = ["..."]

`engine()` is the process's engine. A transaction of Django and one of Stockade are two
transactions: neither joins the other, see `docs/python.md`. Requires `stockade[django]`.
"""

from stockade.django._engine import close_engine, engine
from stockade.django._signals import event_received

__all__ = ["close_engine", "engine", "event_received"]
