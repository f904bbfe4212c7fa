"""A service's past: what is known of its promises and its use, counted once a day, drawn and told."""

import csv
import io
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.panels import Visitor, ready_shop

if TYPE_CHECKING:
    from support.rooms import Rooms

HOUR, DAY = 3_600_000, 86_400_000
NOON = 20_000 * DAY + 12 * HOUR
"""A moment in the middle of a day (milliseconds)."""


@pytest.fixture
def web(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> str:
    """A service that was ordered three days before noon; its id."""
    from freehold.master.foundation import clock
    from freehold.master.ordering.models import Instance, RequestRow

    ready_shop(rooms)
    instance = str(rooms.request("web").instance)
    monkeypatch.setattr(clock, "now", lambda: NOON)
    Instance.objects.filter(id=instance).update(created_at=NOON - 3 * DAY)
    RequestRow.objects.filter(instance_id=instance).update(at=NOON - 3 * DAY)
    return instance


def says(instance: str, since: int, until: int, kept: bool = True) -> None:
    """Have the promise be told every hour, as kept or not."""
    from freehold.master.monitoring.models import Assessment

    Assessment.objects.bulk_create(
        Assessment(instance_id=instance, promise="page", revision=1, kept=kept, message="", at=at)
        for at in range(since, until, HOUR)
    )


def used(instance: str, hour: int, **meters: int) -> None:
    from freehold.master.usage.models import Hour

    Hour.objects.create(instance_id=instance, hour=hour, **meters)


def count_all() -> None:
    """Let a new Master count all days that it looks back to."""
    from freehold.master.monitoring import days

    for _ in range(days.LOOK_BACK // days.MOST_DAYS + 1):
        days.count()


def test_a_day_is_counted_once_it_is_over(web: str) -> None:
    from freehold.master.monitoring import days

    says(web, NOON - 3 * DAY, NOON - DAY)
    says(web, NOON - DAY, NOON - 18 * HOUR, kept=False)
    says(web, NOON - 18 * HOUR, NOON)
    count_all()
    told = days.of_instance(web, 0)
    assert [day.day for day in told] == [19_997, 19_998, 19_999]
    assert [day.availability.kept for day in told] == [12 * HOUR, DAY, DAY - 6 * HOUR]
    assert [day.availability.counted for day in told] == [12 * HOUR, DAY, DAY]
    assert days.count() == 0, "nothing is counted twice"


def test_what_a_silent_node_tells_later_is_counted_then(web: str) -> None:
    from freehold.master.fleet.models import Node
    from freehold.master.monitoring import days

    says(web, NOON - 3 * DAY, NOON - 2 * DAY)
    Node.objects.update(silent_since=NOON - 2 * DAY)
    count_all()
    assert [day.availability.unknown for day in days.of_instance(web, 0)][-1] == DAY
    assert days.count() == 0, "as long as it is silent, there is nothing new to count"
    Node.objects.update(silent_since=None)
    assert days.count() == 0, "it is heard, and what it has to tell of that time is on its way"
    says(web, NOON - 2 * DAY, NOON)
    assert days.count() == 2
    assert {day.availability.unknown for day in days.of_instance(web, 0)} == {0}
    assert [day.availability.kept for day in days.of_instance(web, 0)] == [12 * HOUR, DAY, DAY]


def test_days_that_a_clock_counted_ahead_are_counted_when_they_are_over(
    web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.foundation import clock
    from freehold.master.monitoring import days

    monkeypatch.setattr(clock, "now", lambda: NOON + 365 * DAY)
    count_all()
    monkeypatch.setattr(clock, "now", lambda: NOON)
    says(web, NOON - 3 * DAY, NOON)
    count_all()
    assert [day.day for day in days.of_instance(web, 0)] == [19_997, 19_998, 19_999]
    assert [day.availability.kept for day in days.of_instance(web, 0)] == [12 * HOUR, DAY, DAY]


def test_days_are_forgotten_after_thirteen_months(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.foundation import clock
    from freehold.master.monitoring import days

    count_all()
    monkeypatch.setattr(clock, "now", lambda: NOON + 399 * DAY)
    assert days.clean_up() == 4, "two of the service, two of its site"
    assert [day.day for day in days.of_instance(web, 0)] == [19_999]


def test_a_day_is_told_hour_by_hour_and_what_is_not_known_is_no_zero(web: str) -> None:
    from freehold.master.usage import history
    from freehold.master.usage.history import Period

    says(web, NOON - 3 * HOUR, NOON)
    hour = NOON // HOUR
    used(web, hour - 2, cpu_ms=1_800_000, memory_mb_s=3600 * 50, network_out=3_600_000)
    used(web, hour, cpu_ms=5)
    past = history.of_instance(web, Period.DAY)
    assert (len(past.steps), past.steps[0].at, past.steps[-1].at) == (24, NOON - 23 * HOUR, NOON)
    known = past.steps[-3]
    assert known.use is not None
    assert (known.use.processors, known.use.memory_mb, known.use.sent) == (0.5, 50.0, 1000.0)
    assert (known.use.disk_mb, known.use.received) == (None, None)
    assert [step.use for step in past.steps if step is not known] == [None] * 23, "the present hour is not over"
    assert known.promises is not None
    assert (known.promises.kept, known.promises.counted) == (HOUR, HOUR)


def test_a_month_is_told_day_by_day_from_what_was_counted(web: str) -> None:
    from freehold.master.usage import history
    from freehold.master.usage.history import Period

    says(web, NOON - 3 * DAY, NOON)
    count_all()
    used(web, (NOON - 2 * DAY) // HOUR, cpu_ms=3_600_000)
    used(web, (NOON - 2 * DAY) // HOUR + 1, cpu_ms=0)
    past = history.of_instance(web, Period.MONTH)
    kept = [step.promises and step.promises.kept // HOUR for step in past.steps]
    assert kept == [None] * 26 + [12, 24, 24, 12]
    assert [step.use.processors for step in past.steps if step.use] == [0.5]
    assert len(history.of_instance(web, Period.QUARTER).steps) == 90


def test_the_page_draws_it_and_gives_it_as_a_file(rooms: "Rooms", web: str) -> None:
    says(web, NOON - DAY, NOON)
    used(web, NOON // HOUR - 2, cpu_ms=1_800_000, memory_mb_s=3600 * 50)
    customer = Visitor(rooms.customer)
    page = customer.get("/services/shop/web/-/pictures").content.decode()
    assert page.count('<rect class="kept"') == 23, "the present hour just begins"
    assert "Kept 100.00 % of the time that counts and is known." in page
    assert "Last 0.50 processors, at most 0.50 processors." in page
    assert len(page.encode()) < 20_000
    assert "There is no such period." in customer.get("/services/shop/web/-/pictures?period=year").content.decode()
    french = Visitor(rooms.customer, "fr").get("/services/shop/web/-/pictures?period=quarter").content.decode()
    assert "Dernièrement 0,50 processeurs" in french
    assert 'x="8.0"' in french, "numbers of a drawing are the same in every language"
    file = customer.get("/services/shop/web/-/pictures.csv?period=day")
    rows = list(csv.DictReader(io.StringIO(file.content.decode())))
    assert len(rows) == 24
    assert (rows[-3]["processors"], rows[-3]["memory_mb"], rows[-3]["disk_mb"]) == ("0.5", "50", "")
    assert {row["kept_seconds"] for row in rows[:-1]} == {"3600"}


def test_everybody_sees_how_a_site_is_and_was_and_nothing_of_whom_it_serves(rooms: "Rooms", web: str) -> None:
    from freehold.master.fleet.models import Chain, Node, Site, Supply
    from freehold.master.monitoring import actions

    site = Site.objects.get()
    Chain.objects.get_or_create(
        node=Node.objects.get(), defaults={"epoch": 1, "sequence": 1, "hash": "00", "received_at": NOON}
    )
    says(web, NOON - 3 * DAY, NOON - DAY)
    says(web, NOON - DAY, NOON, kept=False)
    count_all()
    stranger = Visitor(None)
    page = stranger.get("/status").content.decode()
    assert site.name in page
    assert "All of it is heard" in page
    assert "Kept 80.00 % of the time that counts and is known." in page
    assert page.count('<rect class="kept"') == 3
    assert "web" not in page.partition("<main")[2].partition("</main")[0]
    Node.objects.update(silent_since=NOON)
    assert "Nothing is heard of it" in stranger.reads("/status")
    project = site.project.name
    actions.announce(project, site.name, NOON + 3 * DAY, NOON + 3 * DAY + HOUR, "New batteries", acting=rooms.owner)
    assert "New batteries" in stranger.reads("/status")
    feed = stranger.get("/status/feed").content.decode()
    assert f"<title>{site.name}: New batteries</title>" in feed
    Supply.objects.update(beneficiary=site.project_id)
    assert "There is no site yet." in stranger.reads("/status"), (
        "what serves its own project alone is nobody's business"
    )
    assert "New batteries" not in stranger.get("/status/feed").content.decode()
    Node.objects.update(silent_since=None)


SHARE = st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(st.lists(SHARE, min_size=1, max_size=90))
def test_no_bar_leaves_its_drawing(shares: list[Any]) -> None:
    from freehold.master.panel import charts

    drawn = charts.bars(shares)
    assert len(drawn) == len(shares)
    for bar in drawn:
        assert bar.x >= 0
        assert bar.width > 0
        assert bar.x + bar.width <= charts.WIDTH
        assert 0 <= bar.unknown_y <= bar.kept_y <= charts.HEIGHT


@given(st.lists(st.none() | st.floats(0, 1e15), min_size=1, max_size=90))
def test_no_line_leaves_its_drawing_and_it_breaks_where_nothing_is_known(values: list[float | None]) -> None:
    from freehold.master.panel import charts

    line = charts.line(values)
    if line is None:
        assert all(value is None for value in values)
        return
    assert line.top >= max(value for value in values if value is not None) * (1 - 1e-9)
    stretches = sum(
        1 for before, value in zip([None, *values], values, strict=False) if value is not None and before is None
    )
    assert line.path.count("M") == stretches
    points = [point.split("h")[0] for part in line.path.split("M")[1:] for point in part.split("L")]
    for point in points:
        x, y = map(float, point.split())
        assert math.isfinite(x)
        assert 0 <= x <= charts.WIDTH
        assert 0 <= y <= charts.HEIGHT
