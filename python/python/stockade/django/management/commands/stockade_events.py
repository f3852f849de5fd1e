"""`manage.py stockade_events`: send the outbox's events as signals."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand
from django.db import router, transaction

from stockade.django import engine, event_received
from stockade.django.models import EventCursor

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Sends events as `event_received` and keeps the cursor in the shop's database."""

    help = "Sends the events of the outbox as the signal event_received, from where it stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--name", default="default", help="the name of the cursor")
        parser.add_argument("--limit", type=int, default=100, help="events a transaction")
        parser.add_argument("--interval", type=float, default=1.0, help="seconds between looks")
        parser.add_argument("--once", action="store_true", help="end where the outbox ends")

    def handle(self, *_: object, **options: object) -> None:
        """Send events until SIGTERM, or to the end of the outbox."""
        name, limit = str(options["name"]), int(str(options["limit"]))
        if options["once"]:
            sent = 0
            while count := send_page(name, limit):
                sent += count
            self.stdout.write(f"{sent} events sent")
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            if send_page(name, limit) == 0:
                stop.wait(float(str(options["interval"])))


def send_page(name: str, limit: int) -> int:
    """Send at most `limit` events and move the cursor, in one transaction; count them.

    The cursor's row is locked: a second process waits, and goes on where this one ends.
    """
    database = router.db_for_write(EventCursor)
    with transaction.atomic(using=database):
        cursors = EventCursor.objects.using(database)
        cursors.get_or_create(name=name)
        row = cursors.select_for_update().get(name=name)
        events = engine().events_after(row.cursor, limit)
        for event in events:
            event_received.send(sender=event.kind, event=event)
        if events:
            row.cursor = events[-1].cursor
            row.save(update_fields=["cursor"])
    return len(events)
