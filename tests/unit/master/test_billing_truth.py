"""The bill is that of a perfect network, and the books hold, whatever came late, twice or in pieces, and however often
the run was killed. Invariants are numbered as in the reference on billing.
"""

import os
import signal
import subprocess
import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from freehold.master.sales.rating import Model, rate
from support.books import books_hold
from support.metering import Mouth, master, send

if TYPE_CHECKING:
    from freehold.master.fleet.models import Node
    from support.market import Market

FEW = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
TERABYTE = 10**12
BILLS = ("2026-04-02", "2026-05-02", "2026-06-02", "2026-07-02", "2026-08-02")
FIRST_MOMENT = 1_772_319_600.0
"""2026-03-01 in Paris."""


@pytest.fixture
def metered(market: "Market") -> "Market":
    """A service at 23.10 a month, with traffic of which more may cost less, and processor time by steps."""
    market.offer(availability=999_000)
    market.prices(
        market.price(2310),
        market.price(0, "usage", meter="network_out", model=Model.VOLUME, unit=TERABYTE,
                     tiers=((0, 800), (2 * TERABYTE, 650), (4 * TERABYTE, 33))),
        market.price(0, "usage", meter="cpu_ms", model=Model.GRADUATED, unit=3_600_000,
                     tiers=((0, 5), (10**7, 4), (10**8, 1))),
    )  # fmt: skip
    return market


@some.composite
def readings(draw: some.DrawFn) -> list[tuple[float, int, int]]:
    """Return what a node reads of a service: seconds since its order, traffic and processor time since then."""
    made, at, traffic, cpu = [], 0.0, 0, 0
    for _ in range(draw(some.integers(1, 10))):
        at += draw(some.sampled_from([60.0, 3600.0 * 5, 86400.0 * 3, 86400.0 * 20, 86400.0 * 45]))
        traffic += draw(some.integers(0, 5 * TERABYTE))
        cpu += draw(some.integers(0, 10**8))
        if at < 86400 * 120:
            made.append((at, traffic, cpu))
    return made or [(60.0, 1, 1)]


@FEW
@given(told=readings(), late=some.lists(some.integers(0, 10), min_size=4, max_size=4))
def test_the_bill_is_that_of_a_perfect_network(
    metered: "Market", told: list[tuple[float, int, int]], late: list[int]
) -> None:
    """I1 to I4: the same readings, one node's in time and the other's late and twice, come to the same."""
    metered.turn("2026-03-01")
    nodes = _two_nodes(metered)
    subscriptions = [_subscribe(metered, node.title, node=node.title) for node in nodes]
    mouths = [_mouth(node, instance) for node, (instance, _) in zip(nodes, subscriptions, strict=True)]
    for number, mouth in enumerate(mouths):
        for at, traffic, cpu in told:
            mouth.say(FIRST_MOMENT + 43200 + at, f"s{number}", network_out=traffic, cpu_ms=cpu)
    for bill, delay in zip(BILLS, [*late, 0], strict=True):
        metered.turn(bill)
        known = sum(1 for at, *_ in told if FIRST_MOMENT + 43200 + at < metered.now / 1000)
        _deliver(metered, mouths[0], known)
        _deliver(metered, mouths[1], max(0, known - delay))
        metered.bill(bill)
    for mouth in mouths:
        _deliver(metered, mouth, len(told))
    metered.bill("2026-09-02")
    perfect, real = (_asked(subscription) for _, subscription in subscriptions)
    assert real == perfect
    for _, subscription in subscriptions:
        _usage_is_rated_whole(subscription)
    assert metered.bill("2026-09-02") == [], "I4: with nothing new, nothing is issued"
    books_hold()


def _two_nodes(market: "Market") -> "list[Node]":
    """Return the two nodes, which are made when there are none."""
    from freehold.master.catalog.models import Release
    from freehold.master.fleet.models import Node
    from support.market import REGION

    names = ("perfect", "real")
    if not Node.objects.filter(title__in=names).exists():
        made = [market.rooms.node(name, partitions=200, region=REGION, site="paris") for name in names]
        market.rooms.supply(Release.objects.get(), *made)
    return list(Node.objects.filter(title__in=names).order_by("title"))


def _subscribe(market: "Market", name: str, **constraints: str) -> tuple[str, int]:
    from freehold.master.billing.models import Subscription

    customer = market.customer(name)
    market.pay(customer, 2310, "deposit")
    instance = market.order(f"{name}-{customer.id}", constraints=constraints)
    market.ready(instance)
    return instance, Subscription.objects.get(instance=instance).id


def _mouth(node: "Node", instance: str) -> Mouth:
    """Return a node that talks of one instance, with a chain that begins anew."""
    mouth = Mouth(node.id, instance, node.epoch)
    mouth.enrol_anew()
    return mouth


def _deliver(market: "Market", mouth: Mouth, count: int) -> None:
    """Send a node's first reports, all of them each time: what is known already counts once."""
    if count:
        with master(market.rooms) as writer:
            send(writer, mouth, mouth.reports[:count])
            send(writer, mouth, mouth.reports[:count])


def _asked(subscription: int) -> dict[tuple[str, str, int], int]:
    """Return what all documents ask of a subscription, by kind, meter and month; recurring by its first day."""
    from freehold.master.billing.models import DocumentLine

    sums: dict[tuple[str, str, int], int] = defaultdict(int)
    for line in DocumentLine.objects.filter(subscription=subscription).exclude(kind="sla"):
        sums[line.kind, line.meter, line.month or line.from_day] += line.amount
    return {key: amount for key, amount in sums.items() if amount}


def _usage_is_rated_whole(subscription: int) -> None:
    """I3: what is asked for a month is what its whole quantity costs."""
    from freehold.master.billing.models import Consumption, DocumentLine
    from freehold.master.sales.models import Price, PriceTier
    from freehold.master.sales.rating import Tier

    for row in Consumption.objects.filter(subscription=subscription):
        price = Price.objects.get(id=row.price)
        tiers = [Tier(*one) for one in PriceTier.objects.filter(price=price).values_list("above", "until", "amount")]
        expected = rate(
            Model(price.model), row.quantity, price.amount, price.unit, sorted(tiers, key=lambda t: t.above)
        )
        lines = DocumentLine.objects.filter(subscription=subscription, meter=row.meter, month=row.month, kind="usage")
        assert sum(line.amount for line in lines) == expected == row.billed
        assert sum(line.quantity for line in lines) == row.billed_quantity


KILLER = """
    import os, signal, sys
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "freehold.master.settings")
    import django
    django.setup()
    from django.db.backends.utils import CursorWrapper
    from freehold.master.accounting.models import LegalEntity
    from freehold.master.billing.invoicing import run
    from freehold.master.foundation import clock
    left, now, day = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    clock.now = lambda: now
    run.SLICE = 4
    whole = CursorWrapper.execute
    def execute(self, *arguments):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, *arguments)
    CursorWrapper.execute = execute
    run.run_for(LegalEntity.objects.get(code="FR"), day, "test")
"""
DUMPED = (
    "billing_document", "billing_documentline", "billing_documenttax", "billing_consumption", "billing_charge",
    "billing_contract", "accounting_entry", "accounting_posting", "accounting_series",
)  # fmt: skip


def test_a_run_that_is_killed_anywhere_makes_the_same_documents(
    metered: "Market",
) -> None:
    """kill -9 at many a statement of a real process, and again in what follows: byte for byte what one run makes."""
    from freehold.master.foundation import days

    for number in range(9):
        _subscribe(metered, f"c{number}")
    metered.turn("2026-06-02")
    day = days.parse("2026-06-02")
    with _restorable(metered) as restore:
        _child(metered, 10**9, day)
        whole = _dump()
        assert len(whole["billing_document"]) == 27
        for kills in ((3,), (9, 9), (17, 5), (23, 31), (40, 2, 40), (58,), (71, 16), (90, 33)):
            restore()
            for kill in kills:
                assert _child(metered, kill, day) in (0, -signal.SIGKILL)
            _child(metered, 10**9, day)
            assert _dump() == whole
            books_hold()


def test_two_runs_at_once_make_the_documents_of_one(metered: "Market") -> None:
    from freehold.master.foundation import days

    for number in range(9):
        _subscribe(metered, f"c{number}")
    metered.turn("2026-05-02")
    day = days.parse("2026-05-02")
    with _restorable(metered) as restore:
        _child(metered, 10**9, day)
        whole = _dump()
        restore()
        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(lambda _: _child(metered, 10**9, day), range(3))) == [0, 0, 0]
        assert _dump() == whole
    books_hold()


def _child(market: "Market", kill: int, day: int) -> int:
    """Run what is due in a process of its own, which kills itself at a statement; return how it ended."""
    environment = {**os.environ, "DATABASE_URL": market.rooms.url}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLER), str(kill), str(market.now), str(day)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def _dump() -> dict[str, list[Any]]:
    from django.db import connection

    found = {}
    with connection.cursor() as cursor:
        for table in DUMPED:
            cursor.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
            # The numbers of batches, runs and charges are not of the document.
            others = ("batch", "run", "id" if table == "billing_charge" else "")
            names = [column[0] for column in cursor.description]
            found[table] = [
                tuple(value for name, value in zip(names, row, strict=True) if name not in others)
                for row in cursor.fetchall()
            ]
    return found


@contextmanager
def _restorable(market: "Market") -> Iterator[Callable[[], None]]:
    """Yield a function that makes every table what it is now."""
    from django.apps import apps
    from django.db import connection, transaction

    from conftest import without_triggers

    tables = [model._meta.db_table for model in apps.get_models(include_auto_created=True)]
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")

    def restore() -> None:
        with transaction.atomic(), connection.cursor() as cursor, without_triggers(cursor):
            for table in tables:
                cursor.execute(f"DELETE FROM {table}")
                cursor.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")

    try:
        yield restore
    finally:
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"DROP TABLE kept_{table}")
