"""The signal of events."""

from __future__ import annotations

from django.dispatch import Signal

event_received = Signal()
"""An event of the outbox, sent by `manage.py stockade_events` with `event`.

Its sender is the `EventKind`: `@receiver(event_received, sender=EventKind.ORDER_PAID)`.
Receivers run in a transaction of the database that has the cursor: what they write there
is committed with the cursor or not at all. An exception rolls both back, and the event
comes again.
"""
