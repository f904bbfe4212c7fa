"""A monthly run: how many invoices a second of processor time, with usage, tax, numbers, ledger and its chain.

Five sellers (France, Germany, China with tax in its prices, France in dollars, Luxembourg) of as many contracts
each, a subscription each; every tenth began within its period, every fourth is metered (31 readings in its month, added
up within the run), every fiftieth is given something back. One process, one backend: its processor time and ours are
counted. The yardstick of the same run is copying what it wrote, row by row, to tables without keys or checks.

Then orders, one by one and durable: of a product that is sold (payer, price, deposit, contract, subscription) against
the same product when it is not.

    .venv/bin/python bench/billing.py [CONTRACTS] [KIND]
    pg_virtualenv bash -c 'DATABASE_URL=postgresql://… .venv/bin/python bench/billing.py 1000000'
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from clouds import cpu_seconds, database, kinds

CONTRACTS = 1_000_000
ORDERS = 300
TARGETS = {"sqlite": 30_000, "postgresql": 20_000}
SELLERS = (
    ("FR", "FR", "EUR", "Europe/Paris", "EUR", False),
    ("DE", "DE", "EUR", "Europe/Berlin", "EUR", False),
    ("CN", "CN", "CNY", "Asia/Shanghai", "CNY", True),
    ("FX", "FR", "EUR", "Europe/Paris", "USD", False),
    ("LU", "LU", "EUR", "Europe/Luxembourg", "EUR", False),
)
MONTH_BEGINS, MONTH_ENDS = "2026-03-01", "2026-04-01"
ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %(count)s) "
WRITTEN = ("accounting_entry", "accounting_posting", "billing_document", "billing_documentline", "billing_documenttax")


def main() -> None:
    contracts = int(sys.argv[1]) if len(sys.argv) > 1 else CONTRACTS
    if len(sys.argv) < 3:
        # Django takes its database once in a process.
        for one in kinds():
            os.spawnv(os.P_WAIT, sys.executable, [sys.executable, __file__, str(contracts), one])
        return
    kind = sys.argv[2]
    with tempfile.TemporaryDirectory(prefix="freehold-bench-", dir="/var/tmp") as folder, database(kind, folder) as url:
        begin(Path(folder), url)
        sellers = sell(contracts // len(SELLERS))
        measure_run(kind, sellers, contracts // len(SELLERS) * len(SELLERS))
        measure_orders(kind)
        from django.db import connections

        connections.close_all()


def begin(root: Path, url: str) -> None:
    os.environ["DATABASE_URL"] = url
    from freehold.kit.master import OWNER, PASSWORD
    from freehold.master.commands import initialise

    initialise(root, ["localhost"], "provider", OWNER, PASSWORD)


def sell(each: int) -> list:
    """Write sellers with their contracts, subscriptions and readings; return the sellers."""
    from django.core.management.color import no_style
    from django.db import connection, transaction

    from freehold.master.accounting import actions
    from freehold.master.accounting.charts import Purpose
    from freehold.master.accounting.queries import account_for
    from freehold.master.billing import exchange, tax_rules
    from freehold.master.billing.models import Contract, Customer, Subscription
    from freehold.master.catalog.models import Product, Release
    from freehold.master.fleet.models import Node, Site
    from freehold.master.foundation import days
    from freehold.master.people import identity
    from freehold.master.people.models import Project
    from freehold.master.sales import actions as sales
    from freehold.master.sales.models import Offer
    from freehold.master.sales.rating import Model

    acting, project = identity.system(), Project.objects.get()
    product = Product.objects.create(id="prod", name="hello", project=project, created_at=1)
    release = Release.objects.create(id="0" * 64, product=product, version="1", description="", size=1, published_at=1)
    site = Site.objects.create(project=project, name="bench", region="", created_at=1)
    node = Node.objects.create(id="node", project=project, site=site, title="n", revision=1, created_at=1)
    sales.add_offer(sales.Proposal("server", "hello", {"en": "Server"}), "provider", acting=acting)
    offer = Offer.objects.get().id
    made = []
    for number, (code, country, books, zone, currency, included) in enumerate(SELLERS):
        spec = actions.Seller(code, code, "street", country, books, zone)
        entity = actions.add_entity(spec, "provider", acting=acting)
        tax_rules.begin(entity)
        prices = [
            sales.Asked("server", "recurring", 23000),
            sales.Asked("server", "usage", 800, "network_out", Model.UNIT, 10**12),
        ]
        listed = sales.publish_list(
            sales.Listing(code, code, currency, included, 0, prices, region=code), "provider", acting=acting
        )
        if currency != books:
            exchange.set_rate(code, currency, 0, "0.9214", acting=acting)
        customer = Customer.objects.create(
            id=f"cust-{number}", project=project, name="c", kind="person", address="a", country=country,
            currency=currency, anchor=1, created_at=1,
        )  # fmt: skip
        base = number * each
        values = {
            "count": each, "base": base, "customer": customer.id, "entity": entity.id, "currency": currency,
            "since": days.parse(MONTH_BEGINS), "until": days.parse(MONTH_ENDS), "never": days.NEVER, "offer": offer,
            "list": listed.id, "included": included, "account": account_for(entity.id, Purpose.REVENUE),
            "sla": account_for(entity.id, Purpose.SLA), "project": project.id, "release": release.id, "node": node.id,
            "month": days.month_of(days.parse(MONTH_BEGINS)), "first_hour": days.parse(MONTH_BEGINS) * 24,
            "opened": days.parse(MONTH_BEGINS) * 86_400_000,
        }  # fmt: skip
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in _FILL:
                cursor.execute(statement, values)
        made.append(entity)
    with connection.cursor() as cursor:
        # Rows were written with their ids: what is written next gets ids after them.
        for reset in connection.ops.sequence_reset_sql(no_style(), [Contract, Subscription]):
            cursor.execute(reset)
        cursor.execute("ANALYZE")
    return made


# Each contract has a customer of its own in number, though not in name: 'one contract' holds for all columns.
_FILL = [
    ROWS + """INSERT INTO billing_customer (id, project_id, name, email, kind, address, country, vat_number,
      currency, anchor, created_at)
    SELECT 'c' || (%(base)s + i), %(project)s, 'c', '', 'person', 'a', 'FR', '', %(currency)s, 1, 1 FROM n""",
    ROWS + """INSERT INTO billing_contract (id, customer_id, entity_id, currency, tax_class, anchor, next_day,
      trouble, aside_on)
    SELECT %(base)s + i, 'c' || (%(base)s + i), %(entity)s, %(currency)s, 'domestic', 1, %(until)s, '', 0 FROM n""",
    ROWS + """INSERT INTO billing_subscription (id, instance, project, contract, offer, state, deposit, quote,
      opened_at, start_day)
    SELECT %(base)s + i, 'i' || (%(base)s + i), %(project)s, %(base)s + i, %(offer)s, 'active', 0, '', %(opened)s,
      %(since)s FROM n""",
    ROWS + """INSERT INTO billing_subscriptionprice (subscription, project, contract, offer, list, from_day, until_day,
      amount, tax_included, category, account)
    SELECT %(base)s + i, %(project)s, %(base)s + i, %(offer)s, %(list)s,
      CASE WHEN i %% 10 = 0 THEN %(since)s + i %% 31 ELSE
      %(since)s - 100 END,
           %(never)s, 23000, %(included)s, 'services', %(account)s FROM n""",
    ROWS + """INSERT INTO billing_charge (contract, subscription, kind, label, offer, month, from_day, day,
      amount, tax_included, category, account, evidence, part, document)
    SELECT %(base)s + i, %(base)s + i, 'sla', '', %(offer)s, %(month)s - 1, %(since)s - 100, %(since)s - 1, -2300,
      %(included)s, 'services', %(sla)s, '{}', 0, 0
    FROM n WHERE i %% 50 = 0""",
    ROWS + """INSERT INTO ordering_instance (id, project_id, tree, title, product, release_id, type, parameters,
      constraints, asked, wanted,
      seed, given, told, node_id, partition, weight, revision, created_at, changed_at)
    SELECT 'i' || (%(base)s + i), %(project)s, 'i' || (%(base)s + i), 't' || (%(base)s + i), 'hello', %(release)s,
      'default', '{}', '{}',
      'started', 'started', '', '{}', 0, %(node)s, 'p', 1, 1, 1, 1 FROM n WHERE i %% 4 = 0""",
    ROWS + """INSERT INTO usage_lastreading (instance_id, series, at, network_out)
    SELECT 'i' || (%(base)s + i), 's', %(opened)s + 2678399999, CAST(31 AS bigint) * 40000000000 FROM n WHERE i %%
      4 = 0""",
    ROWS + """INSERT INTO usage_hour (instance_id, hour, network_out)
    SELECT 'i' || (%(base)s + i), %(first_hour)s + d.day * 24, 40000000000
    FROM n JOIN (WITH RECURSIVE d(day) AS (SELECT 0 UNION ALL SELECT day + 1 FROM d WHERE day < 30) SELECT day
      FROM d) d ON 1 = 1
    WHERE i %% 4 = 0""",
]  # fmt: skip


def measure_run(kind: str, sellers: list, contracts: int) -> None:
    from django.db import connection

    from freehold.master.billing.invoicing import run
    from freehold.master.billing.models import Document
    from freehold.master.foundation import clock, days

    clock.now = lambda: days.parse(MONTH_ENDS) * 86_400_000 + 43_200_000
    backend = _backend()
    before, began, memory = _cpu(backend), time.monotonic(), _memory()
    for entity in sellers:
        run.run_for(entity, days.parse(MONTH_ENDS), "bench")
    spent, wall = _cpu(backend) - before, time.monotonic() - began
    made = Document.objects.count()
    assert made == contracts, made
    counts = {}
    before = _cpu(backend)
    with connection.cursor() as cursor:
        for table in WRITTEN:
            cursor.execute(f"CREATE TEMP TABLE copy_{table} AS SELECT * FROM {table}")
            cursor.execute(f"SELECT count(*) FROM copy_{table}")
            counts[table] = cursor.fetchone()[0]
    copying = _cpu(backend) - before
    verdict = "fine" if made / spent >= TARGETS[kind] else "MISSED"
    print(
        f"{kind}: {made:,} invoices, {sum(counts.values()):,} rows in {spent:.1f} CPU s ({wall:.0f} s): "
        f"{made / spent:,.0f} invoices per CPU s (target {TARGETS[kind]:,}: {verdict}); {spent / copying:.1f} times "
        f"copying the same rows; memory grew by {_memory() - memory:.0f} MB",
        flush=True,
    )


def measure_orders(kind: str) -> None:
    """Order a product that is sold, and one that is not."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    import freehold.master.foundation.clock as clock

    clock.now = lambda: time.time_ns() // 1_000_000
    from freehold.master.accounting.models import LegalEntity
    from freehold.master.billing.customers import actions as customers
    from freehold.master.ordering import actions
    from freehold.master.people import identity, quotas
    from freehold.master.sales import actions as sales
    from support.rooms import Rooms
    from support.running import tiny_release

    rooms = Rooms.__new__(Rooms)
    rooms.owner, rooms.provider = identity.system(), LegalEntity.objects.first().project_id
    quotas.set_limit("provider", "instances", quotas.MOST, acting=identity.system())
    node = rooms.node("big", partitions=2 * ORDERS + 10, region="FR")
    rates = {}
    for product in ("free", "sold"):
        rooms.supply(rooms.publish(tiny_release(product)), node)
        if product == "sold":
            sales.add_offer(sales.Proposal("sold", "sold", {"en": "s"}), "provider", acting=rooms.owner)
            # A region of its own, whose prices no other list of the seller has.
            spec = sales.Listing("DE", "s", "EUR", False, 0, [sales.Asked("sold", "recurring", 100)], region="FR")
            sales.publish_list(spec, "provider", acting=rooms.owner)
            customer = customers.add_customer(
                customers.CustomerIdentity("Ada", "person", "a", "DE", "EUR"), "provider", acting=rooms.owner
            )
            customers.set_payer("provider", "provider", customer, acting=rooms.owner)
            contract = customers.contract_of(customer, LegalEntity.objects.get(code="DE"), "EUR")
            customers.record_payment(
                contract, amount=10**9, purpose="deposit", method="t", reference="r", acting=rooms.owner
            )
        began = time.monotonic()
        for number in range(ORDERS):
            actions.request(actions.Request("provider", f"{product}{number}", product=product), acting=rooms.owner)
        rates[product] = ORDERS / (time.monotonic() - began)
    print(
        f"{kind}: {rates['sold']:.0f} durable orders a second of what is sold, {rates['free']:.0f} of what is not "
        f"(ratio {rates['sold'] / rates['free']:.2f}; target 300)",
        flush=True,
    )


def _backend() -> int:
    """Return the process that works for us; 0 when it is this one."""
    from django.db import connection

    if connection.vendor == "sqlite":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def _cpu(backend: int) -> float:
    return time.process_time() + (cpu_seconds(backend) if backend else 0)


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
