"""`manage.py stockade_sweep`: expire what is due."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from stockade.django import engine


class Command(BaseCommand):
    """Expires all due holds and unpaid orders, for a shop whose engines do not sweep."""

    help = "Expires all due holds and unpaid orders now."

    def handle(self, *_: object, **__: object) -> None:
        """Sweep."""
        report = engine().sweep()
        self.stdout.write(
            f"{report.holds_expired} holds expired, {report.orders_cancelled} orders cancelled"
        )
