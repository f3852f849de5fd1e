"""The app `stockade.django` in a Django project, run by `test_django.py`."""

from __future__ import annotations

import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import TestCase, override_settings

from stockade import Event, EventKind, HoldStatus, OrderStatus, sign_webhook
from stockade.django import close_engine, engine, event_received
from stockade.django.models import EventCursor

MEMORY = {"store": "sqlite::memory:"}


class Shop(TestCase):
    databases: ClassVar[set[str]] = {"default"}

    def setUp(self) -> None:
        self.product = engine().create_product("Lamp", "19.99", 5)
        self.addCleanup(close_engine)

    def order(self, quantity: int = 1) -> Any:
        with engine().create_hold(self.product.id, quantity) as hold:
            return engine().create_order(hold)

    def command(self, name: str, *args: str) -> str:
        out = io.StringIO()
        call_command(name, *args, stdout=out, stderr=out)
        return out.getvalue()

    def hook(self, event: dict[str, Any], secret: str = "hush", **headers: str) -> Any:
        body = json.dumps(event)
        signature = sign_webhook(body, secret)
        return self.client.post(
            "/payments/webhook",
            body,
            content_type="application/json",
            headers={"Stockade-Signature": signature, **headers},
        )

    def test_webhook_records_a_signed_event_once(self) -> None:
        order = self.order()
        event = {"status": "paid", "order_id": order.id, "amount": 19.99, "currency": "EUR"}
        for secret, result in [("hush", "applied"), ("older", "repeated")]:
            answer = self.hook({**event, "idempotency_key": f"evt-{order.id}"}, secret)
            assert answer.json() == {"message": "ok", "result": result}
        assert engine().order(order.id).status == OrderStatus.PAID

    def test_webhook_refuses_what_is_not_signed(self) -> None:
        order = self.order()
        event = {"status": "paid", "order_id": order.id}
        assert self.hook(event, "guess").status_code == 401
        answer = self.client.post("/payments/webhook", event, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer["content-type"] == "application/problem+json"
        assert self.client.get("/payments/webhook").status_code == 405
        assert engine().order(order.id).status == OrderStatus.PENDING_PAYMENT

    def test_webhook_tells_bad_bodies_and_early_events(self) -> None:
        assert self.hook({"order_id": 1}).status_code == 422
        assert self.hook({"status": "perhaps", "order_id": 1}).status_code == 422
        early = self.hook({"status": "paid", "order_id": self.order().id + 50_000})
        assert early.status_code in (202, 422)

    @override_settings(STOCKADE_WEBHOOK_SECRETS=[])
    def test_webhook_without_secrets_is_a_mistake(self) -> None:
        with pytest.raises(ImproperlyConfigured):
            self.hook({"status": "paid", "order_id": 1})

    def test_checks_name_what_is_wrong(self) -> None:
        def ids(**options: Any) -> list[str]:
            return [one.id for one in run_checks(**options) if one.id.startswith("stockade")]

        assert ids(include_deployment_checks=True) == []
        with override_settings(STOCKADE={"store": "sqlite::memory:", "hold_tll": "5m"}):
            (found,) = [one for one in run_checks() if one.id == "stockade.E002"]
            assert found.hint == "Did you mean 'hold_ttl'?"
        with override_settings(STOCKADE={}, STOCKADE_WEBHOOK_SECRETS=[""]):
            assert ids(include_deployment_checks=True) == ["stockade.E001", "stockade.W001"]
        with override_settings(STOCKADE=MEMORY):
            assert ids(include_deployment_checks=True) == ["stockade.W002"]

    def test_audit_and_sweep(self) -> None:
        assert "products are consistent" in self.command("stockade_audit")
        assert "0 orders cancelled" in self.command("stockade_sweep")

    def test_events_are_sent_once_and_again_after_a_failure(self) -> None:
        seen: list[tuple[EventKind, Event]] = []
        fails: list[bool] = []

        def receive(sender: EventKind, event: Event, **_: object) -> None:
            if event.kind is EventKind.HOLD_CREATED and fails:
                fails.pop()
                raise RuntimeError("the shop's own fault")
            seen.append((sender, event))

        event_received.connect(receive)
        self.addCleanup(event_received.disconnect, receive)
        self.command("stockade_events", "--once")
        seen.clear()
        self.order()
        fails.append(True)
        before = EventCursor.objects.get(name="default").cursor
        with pytest.raises(RuntimeError):
            self.command("stockade_events", "--once")
        assert EventCursor.objects.get(name="default").cursor == before
        assert self.command("stockade_events", "--once", "--limit=1") == "2 events sent\n"
        kinds = [EventKind.HOLD_CREATED, EventKind.ORDER_CREATED]
        assert [sender for sender, _ in seen] == kinds
        assert [event.product_id for _, event in seen] == [self.product.id] * 2
        assert self.command("stockade_events", "--once") == "0 events sent\n"

    def test_import_makes_replaces_and_names_bad_lines(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "products.jsonl"
            sku = f"sku:IMPORT-{self.product.id}"
            line = {"product": sku, "name": "Bulb", "price": 2.5, "stock": 7}
            file.write_text(json.dumps(line) + "\n\n")
            assert self.command("stockade_import", str(file)) == "1 products made, 0 replaced\n"
            assert self.command("stockade_import", str(file)) == "0 products made, 1 replaced\n"
            assert engine().product(sku).stock == 7
            file.write_text(json.dumps({**line, "stock": 9}) + '\n{"product": 1, "nam": "x"}\n')
            with self.assertRaisesMessage(CommandError, "line 2: there is no field 'nam'"):
                self.command("stockade_import", str(file))
            assert engine().product(sku).stock == 7
            file.write_text(json.dumps({**line, "price": "cheap"}))
            with self.assertRaisesMessage(CommandError, "1 of 1 products were refused"):
                self.command("stockade_import", str(file))

    def test_a_rolled_back_transaction_is_compensated(self) -> None:
        """The recipe of docs/python.md: Stockade's commit does not roll back with Django's."""
        order = None
        try:
            with transaction.atomic(), engine().create_hold(self.product.id, 2) as hold:
                order = engine().create_order(hold)
                raise RuntimeError("the shop's own fault")
        except RuntimeError:
            assert engine().product(self.product.id).pending == 2
            assert order is not None
            engine().cancel_order(order.id, reason="rolled back")
        assert engine().product(self.product.id).stock == 5

    def test_a_block_that_fails_before_the_order_releases_its_hold(self) -> None:
        with pytest.raises(RuntimeError), transaction.atomic():
            with engine().create_hold(self.product.id, 2) as hold:
                raise RuntimeError("the shop's own fault")
        assert engine().hold(hold.id).status == HoldStatus.RELEASED

    def test_a_forked_child_opens_an_engine_of_its_own(self) -> None:
        if engine().closed or not os.environ["STOCKADE_STORE"].startswith("unix:"):
            self.skipTest("a fork shares no SQLite: see test_processes.py")
        child = os.fork()
        if child == 0:
            found = engine().product(self.product.id).stock
            os._exit(0 if found == 5 else 1)
        assert os.waitpid(child, 0)[1] == 0
