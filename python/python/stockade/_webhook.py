"""Signatures of payment webhooks, verified as the server does.

The header `Stockade-Signature` reads `t=<unix seconds>,v1=<hex>`, where the
hexadecimal digits are the HMAC-SHA256 of the text of `t`, a dot and the raw body.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import TYPE_CHECKING

from stockade.exceptions import InvalidArgumentError, UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import Iterable

SIGNATURE_HEADER = "Stockade-Signature"
"""The signature header."""

_SIGNATURES_MAX = 8
"""The most signatures checked, which bounds the work per request."""
_TIME = re.compile(r"[0-9]{1,18}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII | re.IGNORECASE)


def verify_webhook(
    body: bytes | bytearray | memoryview | str,
    header: str | None,
    secret: str | bytes | Iterable[str | bytes],
    *,
    tolerance: float = 300,
    now: float | None = None,
) -> None:
    """Reject a webhook without a valid and recent signature.

    A shop that receives webhooks itself must verify each of them: otherwise any
    client could mark its own order as paid.

    Args:
        body: The raw body, before it is parsed.
        header: The value of the header `Stockade-Signature`; `None` if it is
            missing.
        secret: The shared secret, or several during a rotation.
        tolerance: The largest accepted clock difference in seconds, in either direction.
        now: The current time in seconds since 1970, for tests.

    Raises:
        UnauthorizedError: The signature is missing, invalid or too old.
        InvalidArgumentError: No secret is given, which would accept
            pass.

    >>> header = sign_webhook(b"{}", "hush")
    >>> verify_webhook(b"{}", header, ["new", "hush"])
    >>> verify_webhook(b"{ }", header, "hush")
    Traceback (most recent call last):
        ...
    stockade.exceptions.UnauthorizedError: the signature is invalid

    """
    keys = _secrets(secret)
    if not header:
        raise UnauthorizedError(f"the {SIGNATURE_HEADER} header is missing")
    at, signatures = _parse(header)
    signed = _signed(at, body)
    # Try every secret with every signature in constant time, before trusting
    # the time: the duration leaks nothing.
    matches = 0
    for key in keys:
        expected = hmac.new(key, signed, hashlib.sha256).hexdigest()
        for signature in signatures:
            matches += hmac.compare_digest(expected, signature)
    if not matches:
        raise UnauthorizedError("the signature is invalid")
    if abs(int(at) - (time.time() if now is None else now)) > tolerance:
        raise UnauthorizedError(f"the signature's time differs by more than {tolerance} seconds")


def sign_webhook(
    body: bytes | bytearray | memoryview | str,
    secret: str | bytes,
    *,
    now: float | None = None,
) -> str:
    """Create the header `Stockade-Signature` of a body, as a sender does."""
    at = str(int(time.time() if now is None else now))
    (key,) = _secrets(secret)
    return f"t={at},v1={hmac.new(key, _signed(at, body), hashlib.sha256).hexdigest()}"


def _signed(at: str, body: bytes | bytearray | memoryview | str) -> bytes:
    raw = body.encode() if isinstance(body, str) else bytes(body)
    return at.encode() + b"." + raw


def _parse(header: str) -> tuple[str, list[str]]:
    """Parse the time, as written, and the well-formed signatures."""
    times: list[str] = []
    signatures: list[str] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            times.append(value)
        elif name == "v1" and len(signatures) < _SIGNATURES_MAX and _SIGNATURE.fullmatch(value):
            signatures.append(value.lower())
    # With two times it is ambiguous which one was signed.
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        raise UnauthorizedError(
            f"the {SIGNATURE_HEADER} header must read t=<unix seconds>,v1=<hex>"
        )
    return times[0], signatures


def _secrets(secret: str | bytes | Iterable[str | bytes]) -> list[bytes]:
    given = [secret] if isinstance(secret, str | bytes) else list(secret)
    keys = [key.encode() if isinstance(key, str) else key for key in given]
    if not keys or not all(keys):
        raise InvalidArgumentError("a webhook secret of at least one character is needed")
    return keys
