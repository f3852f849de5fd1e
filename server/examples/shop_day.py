"""A shop's day over HTTP, with payments that Stripe's own library signs.

`shop_day.py PROGRAM` imports a catalogue, starts a server and opens a sale; 2,000
buyers fill carts and order; Stripe's events arrive out of order and twice; one order is
refunded in part, one cancelled, one paid too late. At the end the audit must be clean,
and the list of what must be refunded must name exactly the orders that are owed money.
It needs the package `stripe`.
"""

import csv
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import stripe

BUYERS = 2_000
CALLERS = 16
PRODUCTS = 20
# Fewer units than the buyers want: some carts are refused.
UNITS = 150
STRIPE_SECRET = "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH"
KEY = "shop-day-operator-key"
# How long a request may take on a busy machine, in seconds.
TIMEOUT = 60

Json = dict
Answer = tuple[int, Json]


class Shop:
    """The back end of a shop: it knows the server's address and its own API key."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(
        self, method: str, path: str, body: Json | bytes | None = None, **headers: str
    ) -> Answer:
        """Sends a request; returns the status and the JSON of its response."""
        sent = json.dumps(body).encode() if isinstance(body, dict) else body
        sent_headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        sent_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, sent, sent_headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def done(self, method: str, path: str, body: Json | None = None, **headers: str) -> Json:
        """Sends a request that must succeed."""
        status, answer = self.call(method, path, body, **headers)
        if status >= 300:
            sys.exit(f"{method} {path} {body}: {status} {answer}")
        return answer


def expect(what: str, found: object, expected: object) -> None:
    """Ends the program unless two values are equal."""
    if found != expected:
        sys.exit(f"{what}: expected {expected!r}, found {found!r}")


def sku(number: int) -> str:
    """Returns the SKU of a product of the catalogue; some need to be encoded in a path."""
    return f"LAMP/{number:02}"


def import_catalogue(program: str, store: str, folder: pathlib.Path) -> None:
    """Imports the catalogue twice, as a shop does each night: the second changes nothing."""
    catalogue = folder / "catalogue.csv"
    with catalogue.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "name", "price", "currency", "stock"])
        for number in range(PRODUCTS):
            writer.writerow([sku(number), f"Lamp {number}", "19.99", "EUR", UNITS])
    subprocess.run([program, "migrate", f"--store={store}"], check=True, stdout=subprocess.DEVNULL)
    for _ in range(2):
        command = [program, "product", "import", str(catalogue), f"--store={store}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def open_sale(shop: Shop) -> None:
    """Lets the sale begin later, so that a hold is refused; then at once."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    first = "/api/admin/products/sku:LAMP%2F00"
    shop.done("PATCH", first, {"on_sale_from": tomorrow})
    status, refusal = shop.call("POST", "/api/holds/sku:LAMP%2F00/1")
    expect("a hold before the sale", (status, refusal["code"]), (409, "not_on_sale"))
    shop.done("PATCH", first, {"on_sale_from": None})


def buy(shop: Shop, buyer: int) -> Json | None:
    """Fills a cart of one to three products and orders it; `None` when it is sold out."""
    chosen = random.Random(buyer).sample(range(PRODUCTS), 1 + buyer % 3)
    items = [{"sku": sku(number), "quantity": 1} for number in chosen]
    body = {"items": items, "customer": f"buyer-{buyer}"}
    status, cart = shop.call("POST", "/api/holds", body, Idempotency_Key=f"cart-{buyer}")
    if status == 409:
        expect("a refused cart", cart["code"], "insufficient_stock")
        return None
    expect(f"cart of buyer {buyer}", status, 200)
    holds = [{"id": hold["id"], "token": hold["token"]} for hold in cart["holds"]]
    order = {"holds": holds, "reference": f"day-{buyer}"}
    return shop.done("POST", "/api/orders", order, Idempotency_Key=f"order-{buyer}")["order"]


def event(order: Json, kind: str, name: str | None = None) -> bytes:
    """Returns an event of Stripe about the payment intent of an order."""
    token, number = order["payment_token"], order["id"]
    amount = round(order["amount"] * 100)
    intent = {
        "id": f"pi_{name or number}",
        "object": "payment_intent",
        "amount": amount,
        "amount_received": amount,
        "currency": "eur",
        "metadata": {"stockade_payment_token": token},
    }
    shown = {
        "id": f"evt_{name or number}_{kind}",
        "object": "event",
        "api_version": stripe.api_version,
        "created": int(time.time()),
        "data": {"object": intent},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None},
        "type": kind,
    }
    return json.dumps(shown).encode()


def deliver(shop: Shop, body: bytes) -> str:
    """Delivers an event, signed by Stripe's library; returns what it did."""
    now = int(time.time())
    signature = stripe.WebhookSignature._compute_signature(
        f"{now}.{body.decode()}", STRIPE_SECRET
    )
    header = f"t={now},v1={signature}"
    path = "/api/payments/webhook/stripe"
    status, answer = shop.call("POST", path, body, Stripe_Signature=header)
    if status not in (200, 202):
        sys.exit(f"an event of Stripe: {status} {answer}")
    return answer["result"]


def pay(shop: Shop, orders: list[Json]) -> None:
    """Delivers every event twice, and those of one order in any order."""
    kinds = ["payment_intent.created", "payment_intent.processing", "payment_intent.succeeded"]
    events = [event(order, kind) for order in orders for kind in kinds] * 2
    random.Random(7).shuffle(events)
    with ThreadPoolExecutor(CALLERS) as callers:
        results = list(callers.map(lambda body: deliver(shop, body), events))
    expect("events that paid an order", results.count("applied"), len(orders))


def refund_in_part(shop: Shop, order: Json) -> None:
    """Takes one unit back into stock, twice by the same key: it moves once."""
    line = order["lines"][0]
    product = f"/api/products/{line['product_id']}"
    before = shop.done("GET", product)
    body = {"lines": [{"line": line["line"], "quantity": 1}], "restock": True, "reason": "torn"}
    for _ in range(2):
        path = f"/api/orders/{order['id']}/refund"
        refunded = shop.done("POST", path, body, Idempotency_Key="refund-1")["order"]
    expect("the refunded money", refunded["refunded_amount"], line["price"])
    after = shop.done("GET", product)
    expect("the restocked unit", after["stock"] - before["stock"], 1)


def owed(shop: Shop) -> list[int]:
    """Returns the orders whose money must be refunded, page by page."""
    found, after = [], ""
    while True:
        page = shop.done("GET", f"/api/admin/orders?disposition=needs_refund&limit=10{after}")
        found += [order["id"] for order in page["items"]]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


def play(shop: Shop) -> None:
    """Plays the day."""
    open_sale(shop)
    with ThreadPoolExecutor(CALLERS) as callers:
        orders = [order for order in callers.map(lambda n: buy(shop, n), range(BUYERS)) if order]
    print(f"{len(orders)} of {BUYERS} buyers have an order")
    cancelled, late, twice, *paid = orders
    shop.done("POST", f"/api/orders/{cancelled['id']}/cancel", {"reason": "asked by phone"})
    shop.done("POST", f"/api/orders/{late['id']}/cancel", {"reason": "fraud"})
    pay(shop, [twice, *paid])
    # Money for an order that the shop cancelled, and a second payment of a paid one.
    deliver(shop, event(late, "payment_intent.succeeded"))
    deliver(shop, event(twice, "payment_intent.succeeded", name="second"))
    expect("orders that are owed money", owed(shop), sorted([late["id"], twice["id"]]))
    refund_in_part(shop, max(paid, key=lambda order: len(order["lines"])))
    shop.done("POST", f"/api/orders/{late['id']}/refund", {"owed": True}, Idempotency_Key="owed-1")
    expect("orders that are owed money", owed(shop), [twice["id"]])
    expect("the cancelled order", status(shop, cancelled), "cancelled")
    expect("orders of one buyer", len(orders_of(shop, paid[0])), 1)
    audit = shop.done("GET", "/api/admin/audit")
    expect("the audit", (audit["consistent"], audit["findings"]), (True, []))
    units = sum(line["qty"] for order in [twice, *paid] for line in order["lines"]) - 1
    products = shop.done("GET", "/api/products?limit=100")["items"]
    expect("units sold", sum(product["sold"] for product in products), units)


def status(shop: Shop, order: Json) -> str:
    """Returns the status of an order."""
    return shop.done("GET", f"/api/orders/{order['id']}")["order"]["status"]


def orders_of(shop: Shop, order: Json) -> list[Json]:
    """Returns the orders of the customer of an order."""
    customer = f"buyer-{order['reference'].removeprefix('day-')}"
    return shop.done("GET", f"/api/admin/orders?customer={customer}&limit=10")["items"]


def main() -> None:
    """Runs the server for the day."""
    (program,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:{folder}/shop.db"
        import_catalogue(program, store, pathlib.Path(folder))
        settings = {"STOCKADE_API_KEY": KEY, "STOCKADE_STRIPE_SECRET": STRIPE_SECRET}
        arguments = [f"--store={store}", "--listen=127.0.0.1:0", "--log-level=error"]
        server = subprocess.Popen(
            [program, "serve", *arguments],
            env={"PATH": os.environ["PATH"], **settings},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout
            play(Shop(server.stdout.readline().removeprefix("listening on ").strip()))
        finally:
            server.terminate()
            server.wait(timeout=TIMEOUT)
    print("the day is over, and the books agree")


main()
