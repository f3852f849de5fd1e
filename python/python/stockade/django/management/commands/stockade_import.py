"""`manage.py stockade_import FILE`: make or replace products."""

from __future__ import annotations

import dataclasses
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from stockade import PutProduct, StockadeError
from stockade.django import engine

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

_FIELDS = {field.name for field in dataclasses.fields(PutProduct)}
_AT_ONCE = 1000
"""Products by one call; their lines fit in memory."""


class Command(BaseCommand):
    """Puts the products of JSON Lines: `{"product": "sku:LAMP", "name": …, "price": …}`."""

    help = "Makes or replaces the products of a file of JSON Lines; - is stdin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", help="one JSON object a line, with the fields of PutProduct")

    def handle(self, *_args: object, **options: object) -> None:
        """Import."""
        given = str(options["file"])
        try:
            lines = sys.stdin.readlines() if given == "-" else Path(given).read_text().splitlines()
        except OSError as error:
            raise CommandError(f"cannot read {given}: {error.strerror}") from error
        # All lines are parsed first: a file with a bad one imports nothing.
        requests = [self._request(number, line) for number, line in _numbered(lines)]
        made = refused = 0
        for start in range(0, len(requests), _AT_ONCE):
            part = requests[start : start + _AT_ONCE]
            outcomes = engine().put_products([request for _number, request in part])
            for (number, _request), outcome in zip(part, outcomes, strict=True):
                if isinstance(outcome, StockadeError):
                    self.stderr.write(f"line {number}: {outcome}")
                    refused += 1
                else:
                    made += outcome.created
        if refused:
            raise CommandError(f"{refused} of {len(requests)} products were refused")
        self.stdout.write(f"{made} products made, {len(requests) - made} replaced")

    def _request(self, number: int, line: str) -> tuple[int, PutProduct]:
        try:
            found: Any = json.loads(line, parse_float=Decimal)
            unknown = sorted(set(found) - _FIELDS)
            if unknown:
                raise CommandError(f"line {number}: there is no field {unknown[0]!r}")
            return number, PutProduct(**found)
        except (ValueError, TypeError) as error:
            raise CommandError(f"line {number}: {error}") from error


def _numbered(lines: list[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())
