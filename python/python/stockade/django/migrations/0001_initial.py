"""Makes the table of the cursors."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """The table `stockade_event_cursor`."""

    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[object]] = [
        migrations.CreateModel(
            name="EventCursor",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("cursor", models.BigIntegerField(default=0)),
            ],
            options={"db_table": "stockade_event_cursor"},
        )
    ]
