"""Sends a server the webhooks of every provider, signed by the provider's library.

`send.py PROGRAM PAGE` starts the server; PAGE is the page on payment providers. Where
a library only verifies, it verifies what is signed here by the published algorithm,
before the server does.
"""

import hashlib
import hmac
import inspect
import json
import pathlib
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import Adyen.util
import razorpay
import standardwebhooks
import stripe
import svix.webhooks
from server import Server
from stand_ins import Mollie, PayPal
from stripe import _event

STRIPE = "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH"
ADYEN = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RAZORPAY, PAYMOB, CHECKOUT = "razorpay-secret", "paymob-secret", "checkout-key"

# The fields that Paymob's page on its HMAC lists, and the text that it shows for its
# sample.
PAYMOB_FIELDS = (
    "amount_cents created_at currency error_occured has_parent_transaction id integration_id "
    "is_3d_secure is_auth is_capture is_refunded is_standalone_payment is_voided order.id owner "
    "pending source_data.pan source_data.sub_type source_data.type success"
).split()
PAYMOB_TEXT = (
    "1000002024-06-13T11:33:44.592345EGPfalsefalse1920364654097558truefalsefalsefalsetruefalse"
    "217503754302852false2346MasterCardcardtrue"
)

Sign = Callable[[str], dict[str, str]]
Post = Callable[[str], tuple[int, str]]


def check(what: str, found: object, expected: object) -> None:
    """Expects two values to be equal."""
    if found != expected:
        sys.exit(f"{what}: expected {expected!r}, found {found!r}")


def result(answer: tuple[int, str]) -> str:
    """Returns what an accepted delivery did, or the status and code of a rejection."""
    status, body = answer
    shown = json.loads(body)
    return shown["result"] if status == 200 else f"{status} {shown['code']}"


def expect_rules(server: Server, name: str, post: Post, body: Callable[[dict], str]) -> None:
    """Expects a success to pay its order once, by its token, and another secret not to."""
    order = server.order()
    sent = body(order)
    check(f"{name} pays", result(post(sent)), "applied")
    check(f"{name} pays", server.status(order), "paid")
    check(f"{name} is sent again", result(post(sent)), "repeated")
    print(f"ok: {name}")


def stripe_event(kind: str, key: str, fields: dict) -> str:
    """An event as Stripe documents it; its library must read it."""
    shown = {
        "id": key, "object": "event", "api_version": stripe.api_version, "created": 1680800504,
        "data": {"object": {"currency": "eur", "amount": 1999, **fields}},
        "livemode": False, "pending_webhooks": 1, "request": {"id": None}, "type": kind,
    }  # fmt: skip
    return json.dumps(shown)


def stripe_signed(body: str, secret: str = STRIPE, age: int = 0) -> dict[str, str]:
    """Signs by the algorithm of Stripe's page; its library must verify it."""
    now = int(time.time()) - age
    # The library's own function, which its tests use for the same.
    signature = stripe.WebhookSignature._compute_signature(f"{now}.{body}", secret)
    header = f"t={now},v1={signature}"
    stripe.WebhookSignature.verify_header(body, header, secret, tolerance=None)
    return {"Stripe-Signature": header}


def send_stripe(server: Server) -> None:
    """Signatures by Stripe's library, and its list of events."""
    path = "/api/payments/webhook/stripe"

    def intent(order: dict, kind: str = "payment_intent.succeeded") -> str:
        metadata = {"stockade_payment_token": order["payment_token"]}
        fields = {"id": "pi_1", "object": "payment_intent", "amount_received": 1999}
        return stripe_event(kind, f"evt_{order['id']}_{kind}", {**fields, "metadata": metadata})

    def post(body: str, **how: object) -> tuple[int, str]:
        return server.post(path, body.encode(), stripe_signed(body, **how))

    expect_rules(server, "stripe", post, intent)
    order = server.order()
    check("an old signature", result(post(intent(order), age=301)), "401 unauthorized")
    check("another secret", result(post(intent(order), secret="x")), "401 unauthorized")
    check(
        "a failed attempt", result(post(intent(order, "payment_intent.payment_failed"))), "applied"
    )
    check("the order", server.status(order), "cancelled")
    session = {"id": "cs_1", "object": "checkout.session", "payment_status": "paid", "amount_total": 1999}
    order = server.order()
    session |= {"client_reference_id": order["payment_token"], "payment_intent": "pi_2"}
    body = stripe_event("checkout.session.completed", "evt_session", session)
    check("a session pays", (result(post(body)), server.status(order)), ("applied", "paid"))
    # Since API version 2025-03-31 an invoice does not tell its intent, unless `payments`
    # is expanded; either way it is the same payment as the intent's own event.
    assert "payments" in stripe.Invoice.__annotations__
    assert "payment_intent" not in stripe.Invoice.__annotations__
    paid = {"object": "invoice_payment", "status": "paid"}
    paid["payment"] = {"type": "payment_intent", "payment_intent": "pi_1"}
    for fields in ({}, {"payments": {"object": "list", "data": [paid]}}):
        order = server.order()
        metadata = {"stockade_payment_token": order["payment_token"]}
        invoice = {"id": "in_1", "object": "invoice", "amount_paid": 1999, "metadata": metadata}
        body = stripe_event("invoice.paid", f"evt_in_{order['id']}", invoice | fields)
        check("an invoice pays", (result(post(body)), server.status(order)), ("applied", "paid"))
        check("its intent", result(post(intent(order))), "recorded")
        check("they are one payment", server.disposition(order), "none")


def check_stripe_names(page: str) -> None:
    """Expects the page to have each event of a payment in the library's list."""
    listed = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)+)"', inspect.getsource(_event)))
    families = ("payment_intent.", "charge.", "refund.", "checkout.session.", "review.", "radar.")
    payments = {name for name in listed if name.startswith(families)}
    section = page.split("\n## Stripe\n")[1].split("\n## ")[0]
    documented = set(re.findall(r"`([a-z_.]+)`", section))
    check("Stripe's events without a meaning", payments - documented, set())
    ours = {name for name in documented if name.startswith(families)}
    check("events that Stripe does not have", ours - listed, set())
    print(f"ok: {len(payments)} events of stripe {stripe.VERSION}")


def adyen_body(
    order: dict, code: str = "AUTHORISATION", success: str = "true", key: str = ADYEN
) -> str:
    """A notification as Adyen documents it, signed by its library."""
    item = {
        "amount": {"currency": "EUR", "value": 1999}, "eventCode": code,
        "eventDate": "2021-01-01T01:00:00+01:00", "merchantAccountCode": "TestMerchant",
        "merchantReference": order["payment_token"], "paymentMethod": "visa",
        "pspReference": f"PSP{order['id']}", "reason": "033899:1111:03/2030", "success": success,
    }  # fmt: skip
    signature = Adyen.util.generate_notification_sig(item, key).decode()
    item["additionalData"] = {"hmacSignature": signature, "shopperReference": "caf\u00e9"}
    body = {"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}
    assert Adyen.util.is_valid_hmac_notification(body, key)
    return json.dumps(body)


def send_adyen(server: Server) -> None:
    """Signatures by Adyen's library."""
    path = "/api/payments/webhook/adyen"
    for code, success, status in [
        ("AUTHORISATION", "true", "paid"),
        ("AUTHORISATION", "false", "cancelled"),
        ("CANCELLATION", "true", "cancelled"),
        ("CAPTURE", "true", "pending_payment"),
    ]:
        order = server.order()
        body = adyen_body(order, code, success).encode()
        for _ in range(2):
            check("adyen's answer", server.post(path, body), (200, "[accepted]"))
        check(f"adyen {code} {success}", server.status(order), status)
    order = server.order()
    other = adyen_body(order, key="11" * 32).encode()
    check("adyen, another key", result(server.post(path, other)), "401 unauthorized")
    changed = adyen_body(order).replace("1999", "1998").encode()
    check("adyen, another amount", result(server.post(path, changed)), "401 unauthorized")
    print("ok: adyen")


def hex_signed(header: str, secret: str) -> Sign:
    """The hexadecimal HMAC-SHA256 of the body in a header."""

    def sign(body: str) -> dict[str, str]:
        return {header: hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()}

    return sign


def send_razorpay(server: Server) -> None:
    """Signatures that Razorpay's library verifies."""
    path, sign = "/api/payments/webhook/razorpay", hex_signed("X-Razorpay-Signature", RAZORPAY)
    client = razorpay.Client(auth=("key", "secret"))

    def body(order: dict) -> str:
        notes = {"stockade_payment_token": order["payment_token"]}
        payment = {
            "id": f"pay_{order['id']}", "entity": "payment", "amount": 1999, "currency": "EUR",
            "status": "captured", "order_id": "order_DESoU1kD5hRQBi", "captured": True, "notes": notes,
        }  # fmt: skip
        payload = {"payment": {"entity": payment}}
        event = {"entity": "event", "account_id": "acc_1", "event": "payment.captured"}
        return json.dumps({**event, "contains": ["payment"], "payload": payload, "created_at": 1})

    def post(body: str) -> tuple[int, str]:
        headers = sign(body)
        client.utility.verify_webhook_signature(body, headers["X-Razorpay-Signature"], RAZORPAY)
        return server.post(path, body.encode(), headers)

    expect_rules(server, "razorpay", post, body)
    sent = body(server.order())
    other = hex_signed("X-Razorpay-Signature", "x")(sent)
    check(
        "razorpay, another secret",
        result(server.post(path, sent.encode(), other)),
        "401 unauthorized",
    )


def paymob_text(transaction: dict) -> str:
    """The text that Paymob signs."""
    text = ""
    for field in PAYMOB_FIELDS:
        value: object = transaction
        for name in field.split("."):
            value = value[name]
        text += str(value).lower() if isinstance(value, bool) else str(value)
    return text


def send_paymob(server: Server) -> None:
    """Signatures by the published algorithm: Paymob has no library that verifies."""

    def body(order: dict, cents: int = 1999, currency: str = "EUR") -> dict:
        extra = {"stockade_payment_token": order["payment_token"]}
        transaction = {
            "id": 192036465, "pending": False, "amount_cents": cents, "success": True,
            "is_auth": False, "is_capture": False, "is_standalone_payment": True, "is_voided": False,
            "is_refunded": False, "is_3d_secure": True, "integration_id": 4097558, "owner": 302852,
            "has_parent_transaction": False, "created_at": "2024-06-13T11:33:44.592345",
            "order": {"id": 217503754, "merchant_order_id": f"A-{order['id']}"}, "currency": currency,
            "source_data": {"pan": "2346", "type": "card", "sub_type": "MasterCard"},
            "error_occured": False, "payment_key_claims": {"extra": extra},
        }  # fmt: skip
        return {"type": "TRANSACTION", "obj": transaction}

    def post(sent: str, secret: str = PAYMOB) -> tuple[int, str]:
        text = paymob_text(json.loads(sent)["obj"])
        signature = hmac.new(secret.encode(), text.encode(), hashlib.sha512).hexdigest()
        return server.post(f"/api/payments/webhook/paymob?hmac={signature}", sent.encode())

    sample = body(server.order(), 100000, "EGP")
    check("the text of Paymob's page", paymob_text(sample["obj"]), PAYMOB_TEXT)
    expect_rules(server, "paymob", post, lambda order: json.dumps(body(order)))
    # The same transaction, by the same signature, for another order.
    order = server.order()
    check("a copy", result(post(json.dumps(body(order)))), "422 idempotency_mismatch")
    check("its order", server.status(order), "pending_payment")
    # The same signed text, cut elsewhere.
    moved = body(order)
    moved["obj"]["created_at"] = moved["obj"]["created_at"].removeprefix("20")
    moved["obj"]["amount_cents"] = int(f"{1999}20")
    assert paymob_text(moved["obj"]) == paymob_text(body(order)["obj"])
    check("a copy cut elsewhere", result(post(json.dumps(moved))), "422 invalid_argument")
    moved = body(order)
    moved["obj"] |= {"id": 19203646, "integration_id": 54097558}
    assert paymob_text(moved["obj"]) == paymob_text(body(order)["obj"])
    check("a copy with moved ids", result(post(json.dumps(moved))), "422 idempotency_mismatch")
    check("its order", server.status(order), "pending_payment")
    check("paymob, another secret", result(post(json.dumps(sample), "x")), "401 unauthorized")


def send_checkout(server: Server) -> None:
    """Signatures by the published algorithm: Checkout.com's library does not verify."""

    def body(order: dict) -> str:
        data = {
            "id": f"pay_{order['id']}", "action_id": "act_1", "amount": 1999, "currency": "EUR",
            "reference": order["payment_token"], "response_code": "10000", "metadata": {},
        }  # fmt: skip
        event = {"id": f"evt_{order['id']}", "type": "payment_captured", "version": "1.0.29"}
        return json.dumps({**event, "timestamp": "2023-05-24T09:12:32.357+00:00", "data": data})

    def post(body: str, key: str = CHECKOUT) -> tuple[int, str]:
        headers = hex_signed("Cko-Signature", key)(body)
        return server.post("/api/payments/webhook/checkout", body.encode(), headers)

    expect_rules(server, "checkout", post, body)
    check("checkout, another key", result(post(body(server.order()), "x")), "401 unauthorized")


def send_standard(server: Server) -> None:
    """Signatures by the libraries of Standard Webhooks and of Svix."""
    for name, library, prefix in [
        ("standardwebhooks", standardwebhooks.Webhook, "webhook"),
        ("svix", svix.webhooks.Webhook, "svix"),
    ]:

        def body(order: dict) -> str:
            data = {"payment_token": order["payment_token"], "amount": "19.99", "currency": "EUR"}
            return json.dumps({"type": "payment.succeeded", "data": data})

        def post(
            body: str,
            secret: str = STANDARD,
            age: int = 0,
            key: str = "",
            library: type = library,
            prefix: str = prefix,
        ) -> tuple[int, str]:
            key = key or "msg_" + hashlib.sha256(body.encode()).hexdigest()
            sent = datetime.fromtimestamp(int(time.time()) - age, UTC)
            headers = {
                f"{prefix}-id": key,
                f"{prefix}-timestamp": str(int(sent.timestamp())),
                f"{prefix}-signature": library(secret).sign(key, sent, body),
            }
            if not age:
                library(secret).verify(body, headers)
            return server.post("/api/payments/webhook/standard", body.encode(), headers)

        expect_rules(server, name, post, body)
        sent = body(server.order())
        check(f"{name}, old", result(post(sent, age=301)), "401 unauthorized")
        other = "whsec_" + "B" * 32
        check(f"{name}, another secret", result(post(sent, secret=other)), "401 unauthorized")


def send_paypal(server: Server) -> None:
    """Deliveries about which PayPal's stand-in is asked."""
    path = "/api/payments/webhook/paypal"

    def body(order: dict) -> str:
        resource = {
            "id": f"29Y{order['id']}", "status": "COMPLETED", "final_capture": True,
            "amount": {"value": "19.99", "currency_code": "EUR"}, "custom_id": order["payment_token"],
        }  # fmt: skip
        event = {"id": f"WH-{order['id']}", "event_version": "1.0", "resource_type": "capture"}
        shown = {**event, "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": resource}
        # PayPal's white space is not that of a JSON library.
        return json.dumps(shown, indent=1).replace("\n", "  ")

    def post(body: str) -> tuple[int, str]:
        return server.post(path, body.encode(), PayPal.deliver(body.encode()))

    expect_rules(server, "paypal", post, body)
    check("paypal's tokens", len(PayPal.tokens), 1)
    # PayPal ends the token early.
    PayPal.tokens.append("another")
    check("paypal, a new token", result(post(body(server.order()))), "applied")
    check("paypal's tokens", len(PayPal.tokens), 3)
    order = server.order()
    forged = PayPal.deliver(b"{}")
    check(
        "paypal, forged",
        result(server.post(path, body(order).encode(), forged)),
        "401 unauthorized",
    )
    del forged["PayPal-Cert-Url"]
    check("paypal, no header", result(server.post(path, b"{}", forged)), "401 unauthorized")
    PayPal.is_down = True
    check("paypal is down", result(post(body(order))), "503 unavailable")
    PayPal.is_down = False
    check("paypal is up", result(post(body(order))), "applied")


def send_id(server: Server, payment: str) -> tuple[int, str]:
    """Sends Mollie's form, which has nothing but an id."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    return server.post("/api/payments/webhook/mollie", f"id={payment}".encode(), form)


def send_mollie(server: Server) -> None:
    """Payments that are fetched from Mollie's stand-in."""

    def post(payment: str) -> tuple[int, str]:
        return send_id(server, payment)

    def payment(order: dict, status: str = "paid") -> str:
        key = f"tr_{order['id']}"
        Mollie.payments[key] = {
            "resource": "payment", "id": key, "mode": "test", "status": status, "_embedded": {},
            "amount": {"value": "19.99", "currency": "EUR"}, "description": "Order",
            "metadata": {"stockade_payment_token": order["payment_token"]},
        }  # fmt: skip
        return key

    expect_rules(server, "mollie", post, payment)
    order = server.order()
    check("mollie, open", result(post(payment(order, "open"))), "recorded")
    Mollie.is_down = True
    check("mollie is down", result(post(payment(order, "expired"))), "503 unavailable")
    Mollie.is_down = False
    Mollie.redirect = f"{server.url}/healthz"
    check("mollie redirects", result(post(payment(order, "expired"))), "503 unavailable")
    Mollie.redirect = ""
    check("mollie, expired", result(post(payment(order, "expired"))), "applied")
    check("mollie, expired", server.status(order), "cancelled")
    check("mollie, no payment", result(post("tr_none")), "ignored")
    refunds = [{"id": "re_1", "status": "refunded", "amount": {"value": "5.00", "currency": "EUR"}}]
    Mollie.payments[payment(server.order())]["_embedded"] = {"refunds": refunds}
    before = server.counted("mollie", "refund")
    check("mollie, refunded", result(post(list(Mollie.payments)[-1])), "applied")
    check("mollie's refunds", server.counted("mollie", "refund") - before, 1)


def main() -> None:
    """Sends the webhooks of all providers."""
    program, page = sys.argv[1:]
    check_stripe_names(pathlib.Path(page).read_text())
    settings = {
        # Each is the second of two, as while a secret is being changed.
        "stripe_secret": f"whsec_new,{STRIPE}",
        "adyen_secret": f"00,{ADYEN}",
        "razorpay_secret": f"new,{RAZORPAY}",
        "paymob_secret": f"new,{PAYMOB}",
        "checkout_secret": f"new,{CHECKOUT}",
        "standard_webhooks_secret": f"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,{STANDARD}",
        "paypal_credentials": f"{PayPal.client}:{PayPal.secret}",
        "paypal_webhook_id": f"0AA0000000000000A,{PayPal.webhook_id}",
        "paypal_url": PayPal.serve(),
        "mollie_key": f"{Mollie.other_key},{Mollie.key}",
        "mollie_url": Mollie.serve(),
    }
    with Server(program, settings) as server:
        send_stripe(server)
        send_adyen(server)
        send_razorpay(server)
        send_paymob(server)
        send_checkout(server)
        send_standard(server)
        send_paypal(server)
        send_mollie(server)
        audit = server.get("/api/admin/audit")
        check("the audit", (audit["consistent"], audit["findings"]), (True, []))
    settings["mollie_key"] = "test_refused"
    with Server(program, settings) as server:
        check("mollie, refused", result(send_id(server, "tr_1")), "503 unavailable")
    print("the providers' webhooks are understood")


main()
