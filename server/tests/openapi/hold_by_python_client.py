"""Holds and orders by the client of openapi-python-client: `hold_by_python_client.py URL`."""

import re
import sys

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
