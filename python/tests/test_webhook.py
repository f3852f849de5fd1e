"""Signatures of webhooks."""

from __future__ import annotations

import doctest
import hashlib
import hmac
from typing import Any

import pytest

import stockade._webhook
from stockade import InvalidArgumentError, UnauthorizedError, sign_webhook, verify_webhook

NOW = 1_700_000_000
BODY = b'{"status":"paid"}'
SIGNED = "8d60d703a84e5c0ca8f9a07dde9bcea21af433840e7ee22049d6047bae03b0f7"
"""HMAC-SHA256 of `1700000000.` and the body under "hush", by openssl."""
KNOWN = f"t={NOW},v1={SIGNED}"


def test_a_signature_is_the_one_that_others_make() -> None:
    assert sign_webhook(BODY, "hush", now=NOW) == KNOWN
    assert sign_webhook(BODY.decode(), b"hush", now=NOW + 0.9) == KNOWN


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        (KNOWN, "hush"),
        (KNOWN, b"hush"),
        (KNOWN, ["new", "hush"]),
        (KNOWN, iter(["new", b"hush"])),
        (f"{KNOWN},v1={'0' * 64}", "hush"),
        (f"t={NOW}, v0=x, v1={SIGNED.upper()}", "hush"),
        (sign_webhook(BODY, "hush", now=NOW - 300), "hush"),
        (sign_webhook(BODY, "hush", now=NOW + 300), "hush"),
    ],
)
def test_what_is_signed_passes(header: str, secret: Any) -> None:
    verify_webhook(bytearray(BODY), header, secret, now=NOW)


def far(at: str) -> str:
    return f"t={at},v1={hmac.new(b'hush', f'{at}.'.encode() + BODY, hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize(
    ("body", "header", "secret"),
    [
        (BODY, None, "hush"),
        (BODY, "", "hush"),
        (BODY, "hush", "hush"),
        (BODY, f"t={NOW}", "hush"),
        (BODY, KNOWN[:-1], "hush"),
        (BODY + b" ", KNOWN, "hush"),
        (BODY, KNOWN, ["loud", "noise"]),
        (BODY, KNOWN.replace("t=17", "t=18"), "hush"),
        (BODY, f"t={NOW},{KNOWN}", "hush"),
        (BODY, sign_webhook(BODY, "hush", now=NOW - 301), "hush"),
        (BODY, sign_webhook(BODY, "hush", now=NOW + 301), "hush"),
        (BODY, far("9" * 30), "hush"),
        (BODY, far("٣"), "hush"),
        (BODY, ",".join([f"t={NOW}", *[f"v1={'0' * 64}"] * 8, f"v1={SIGNED}"]), "hush"),
    ],
)
def test_what_is_not_is_refused(body: bytes, header: str | None, secret: Any) -> None:
    with pytest.raises(UnauthorizedError):
        verify_webhook(body, header, secret, now=NOW)


@pytest.mark.parametrize("secret", ["", b"", [], ["hush", ""]])
def test_without_a_secret_nothing_passes(secret: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        verify_webhook(BODY, KNOWN, secret, now=NOW)


def test_the_docstring_runs() -> None:
    assert doctest.testmod(stockade._webhook).failed == 0
