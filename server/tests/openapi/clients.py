"""Holds and orders by the two Python clients: `clients.py URL`."""

import re
import sys

import openapi_client
from python_client import Client
from python_client.api.shop import hold, order
from python_client.models import HoldMade, HoldOptions, OrderMade

URL = sys.argv[1]
TOKEN = re.compile(r"[0-9a-f]{32}")
PAYMENT_TOKEN = re.compile(r"pt_[0-9]+_[0-9a-f]{32}")

with Client(base_url=URL) as client:
    made = hold.sync(1, 2, client=client, body=HoldOptions(ttl=60))
    assert isinstance(made, HoldMade), made
    assert TOKEN.fullmatch(made.hold.token), made
    assert (made.hold.product_id, made.hold.qty) == (1, 2), made
    ordered = order.sync(made.hold.id, 1, client=client, hold_token=made.hold.token)
    assert isinstance(ordered, OrderMade), ordered
    assert PAYMENT_TOKEN.fullmatch(ordered.order.payment_token), ordered

with openapi_client.ApiClient(openapi_client.Configuration(host=URL)) as client:
    shop = openapi_client.ShopApi(client)
    options = openapi_client.HoldOptions(ttl=60)
    kept = shop.hold(product_id=1, quantity=1, hold_options=options).hold
    assert TOKEN.fullmatch(kept.token), kept
    placed = shop.order(hold_id=kept.id, product_id=1, hold_token=kept.token).order
    assert PAYMENT_TOKEN.fullmatch(placed.payment_token), placed
