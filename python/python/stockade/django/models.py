"""The cursor of a reader of events."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class EventCursor(models.Model):
    """How far `manage.py stockade_events` has read, one row for each `--name`.

    It is in the shop's own database, so that it commits with what the receivers write.
    """

    name = models.CharField(max_length=64, primary_key=True)
    cursor = models.BigIntegerField(default=0)

    class Meta:
        """The table's name does not depend on the app's label."""

        db_table = "stockade_event_cursor"
        app_label = "stockade"
        constraints: ClassVar[list[models.BaseConstraint]] = []

    def __str__(self) -> str:
        """Return the name."""
        return str(self.name)
