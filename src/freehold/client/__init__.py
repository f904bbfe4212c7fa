"""Freehold's public API from Python: order services, look at them, run a fleet.

from freehold.client import Client, load_credentials

client = Client(load_credentials())
answer = client.request("shop", product="hello", parameters={"greeting": "bonjour"})
shop = client.wait("shop", seconds=60)
print(shop.state, shop.publication["url"])
"""

from freehold.client.api import Client
from freehold.client.credentials import Credentials, load_credentials, save_credentials
from freehold.client.errors import ClientError, NotReady, Refused, Unreachable
from freehold.client.messages import Answer, Instance, Node, PromiseResult, Release, Site, Supply

__all__ = [
    "Answer",
    "Client",
    "ClientError",
    "Credentials",
    "Instance",
    "Node",
    "NotReady",
    "PromiseResult",
    "Refused",
    "Release",
    "Site",
    "Supply",
    "Unreachable",
    "load_credentials",
    "save_credentials",
]
