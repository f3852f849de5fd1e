"""`manage.py stockade_audit`: recount every product."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError

from stockade.django import engine


class Command(BaseCommand):
    """Fails, with what does not agree, if the store is not consistent."""

    help = "Recounts every product; fails if the store's numbers do not agree."

    def handle(self, *_: object, **__: object) -> None:
        """Audit."""
        report = engine().audit()
        for finding in report.findings:
            self.stderr.write(f"{finding.check} {finding.id}: {finding.detail}")
        if not report.consistent:
            raise CommandError(f"{len(report.findings)} faults in {report.products} products")
        self.stdout.write(f"{report.products} products are consistent")
