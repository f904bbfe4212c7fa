"""What the demo sells: the three public examples and traffic of a CDN, by two sellers, with the costs behind a price.

Prices and costs are those that Rapid.Space told the public for servers of 4 and 20 cores; the evidence is the digest of
a text that says so. What is sold here is what a small machine has: pages of the release `hello`, each with the part of
the machine that its offer names.
"""

import hashlib
from typing import Any

from freehold.client import Client

_PROJECT = "/projects/{project}"
SELLERS: list[dict[str, Any]] = [
    {"code": "EU", "name": "Freehold Demo Europe", "address": "1 rue de la Demo, 75001 Paris", "country": "FR",
     "currency": "EUR", "time_zone": "Europe/Paris", "iban": "FR7630006000011234567890189", "bic": "AGRIFRPP"},
    {"code": "CN", "name": "Freehold Demo China", "address": "示例路 1 号，上海", "country": "CN", "currency": "CNY",
     "time_zone": "Asia/Shanghai"},
]  # fmt: skip
OFFERS: list[dict[str, Any]] = [
    {"name": "page", "titles": {"en": "Page, a quarter of a core", "fr": "Page, un quart de cœur",
                                "zh-hans": "页面，四分之一核"},
     "size": {"cpus": 0.25, "memory_mb": 256, "disk_mb": 500}, "product": "hello", "availability": 99.0},
    {"name": "big-page", "titles": {"en": "Big page, a whole core", "fr": "Grande page, un cœur entier",
                                    "zh-hans": "大页面，一整核"},
     "size": {"cpus": 1, "memory_mb": 1024, "disk_mb": 2000}, "product": "hello", "availability": 99.0},
    {"name": "cdn", "titles": {"en": "Content delivery", "fr": "Diffusion de contenu", "zh-hans": "内容分发"},
     "product": "website", "availability": 99.9},
]  # fmt: skip
LISTS: list[dict[str, Any]] = [
    {"seller": "EU", "title": "Europe, dollars", "currency": "USD", "region": "europe", "tax_included": False,
     "from": "2026-01-01", "prices": [
         {"offer": "page", "kind": "recurring", "amount": "20.00"},
         {"offer": "big-page", "kind": "recurring", "amount": "230.00"},
         {"offer": "cdn", "kind": "recurring", "amount": "0"},
         {"offer": "cdn", "kind": "usage", "meter": "network_out", "model": "unit", "unit": 10**12, "amount": "8.00"}]},
    {"seller": "CN", "title": "China, yuan", "currency": "CNY", "region": "china", "tax_included": True,
     "from": "2026-01-01", "prices": [{"offer": "big-page", "kind": "recurring", "amount": "1400.00"}]},
]  # fmt: skip
COSTS = {
    "amortisation": "69", "loan": "6", "network": "8", "electricity": "26", "hosting": "13", "software": "20",
    "hardware-care": "20", "replacement": "4", "repair": "1",
}  # fmt: skip
"""A month of a big server, as published in 2018; they sum to 167."""
BUYER = {"name": "Demo Company", "kind": "company", "address": "2 Demo Street, Boston", "country": "US",
         "currency": "USD"}  # fmt: skip


def open_shop(provider: Client, *, free: str, paying: str) -> None:
    """Write all of it, once: one project has all for free, the other pays, with a deposit that is there."""
    if provider.ask("GET", "/entities"):
        return
    for seller in SELLERS:
        provider.ask("POST", f"{_PROJECT}/entities", body=seller)
    for offer in OFFERS:
        provider.ask("POST", f"{_PROJECT}/offers", body=offer)
    provider.ask("POST", "/entities/{code}/rates", {"code": "EU"},
                 {"currency": "USD", "day": "2026-01-01", "rate": "0.9214"})  # fmt: skip
    for prices in LISTS:
        provider.ask("POST", f"{_PROJECT}/price-lists", body=prices)
    for kind, amount in COSTS.items():
        evidence = hashlib.sha256(f"{kind} of a server a month: {amount}".encode()).hexdigest()
        cost = {"site": "home", "offer": "big-page", "kind": kind, "currency": "USD", "amount": amount}
        provider.ask("POST", f"{_PROJECT}/costs-of-sites", body={**cost, "from": "2026-01-01", "evidence": evidence})
    provider.ask("PUT", f"{_PROJECT}/payers", body={"project": free, "customer": None})
    buyer = provider.ask("POST", f"{_PROJECT}/customers", body=BUYER)["id"]
    provider.ask("PUT", f"{_PROJECT}/payers", body={"project": paying, "customer": buyer})
    payment = {"customer": buyer, "currency": "USD", "amount": "300.00", "purpose": "deposit", "method": "transfer"}
    provider.ask("POST", "/entities/{code}/payments", {"code": "EU"}, {**payment, "reference": "DEMO-1"})
