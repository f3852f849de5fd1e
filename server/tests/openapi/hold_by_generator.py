"""Holds and orders by the Python client of openapi-generator: `hold_by_generator.py URL`."""

import re
import sys

import openapi_client

URL = sys.argv[1]
TOKEN = re.compile(r"[0-9a-f]{32}")
PAYMENT_TOKEN = re.compile(r"pt_[0-9]+_[0-9a-f]{32}")

with openapi_client.ApiClient(openapi_client.Configuration(host=URL)) as client:
    shop = openapi_client.ShopApi(client)
    options = openapi_client.HoldOptions(ttl=60)
    kept = shop.hold(product_id=1, quantity=1, hold_options=options).hold
    assert TOKEN.fullmatch(kept.token), kept
    placed = shop.order(hold_id=kept.id, product_id=1, hold_token=kept.token).order
    assert PAYMENT_TOKEN.fullmatch(placed.payment_token), placed
