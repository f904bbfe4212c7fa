"""A request becomes an instance, once, whoever asks and however often."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import (
    Conflict,
    Forbidden,
    Invalid,
    InvalidParameters,
    NoPlace,
    NotFound,
)
from freehold.protocol.states import Wanted
from support.running import tiny_release

if TYPE_CHECKING:
    from support.rooms import Rooms
    from support.running import Master


@pytest.fixture
def shop(rooms: "Rooms") -> "Rooms":
    """A node with four partitions and a supply of `tiny` 1.0."""
    rooms.supply(rooms.publish(tiny_release()), rooms.node("n"))
    return rooms


def _everything() -> tuple[Any, ...]:
    """Return all that a request could have touched."""
    from freehold.master.fleet.models import Node, Partition, RevisionClock, Supply
    from freehold.master.foundation.models import AuditRow
    from freehold.master.ordering.models import Instance

    return tuple(list(model.objects.order_by("pk").values()) for model in (
        Node, Partition, RevisionClock, Supply, AuditRow, Instance,
    ))  # fmt: skip


def _row(answer: Any) -> Any:
    from freehold.master.ordering.models import Instance

    return Instance.objects.get(id=answer.instance)


def test_a_new_version_is_ordered_once_a_node_offers_it(shop: "Rooms") -> None:
    from freehold.master.fleet.models import Node

    newer = shop.publish(tiny_release(version="2.0"))
    assert _row(shop.request("before")).release.version == "1.0"
    shop.supply(newer, Node.objects.get())
    assert _row(shop.request("after")).release.version == "2.0"
    assert _row(shop.request("before")).release.version == "1.0", "never silently"


def test_a_request_takes_a_partition(shop: "Rooms") -> None:
    from freehold.master.fleet.models import Node, Partition

    answer = shop.request("page", parameters={"greeting": "salut"})
    assert (answer.created, answer.changed, answer.partition) == (True, True, "p0")
    row = _row(answer)
    assert (row.title, row.wanted, row.tree, row.parent) == ("page", "started", row.id, None)
    assert json.loads(row.parameters) == {"greeting": "salut"}
    assert Partition.objects.get(instance=row.id).name == "p0"
    node = Node.objects.get()
    assert (node.free, node.used, node.revision) == (3, 1, row.revision)


def test_asking_again_changes_nothing(shop: "Rooms") -> None:
    first = shop.request("page", parameters={"greeting": "salut"})
    before = _everything()
    again = shop.request("page", parameters={"greeting": "salut"})
    assert (again.instance, again.created, again.changed) == (first.instance, False, False)
    assert shop.request("page", None).changed is False
    assert _everything() == before


def test_parameters_change_in_place(shop: "Rooms") -> None:
    first = shop.request("page")
    before = _row(first)
    changed = shop.request("page", parameters={"greeting": "hi"})
    after = _row(changed)
    assert (changed.instance, changed.created, changed.changed) == (first.instance, False, True)
    assert after.revision > before.revision
    assert after.partition == before.partition
    assert json.loads(after.parameters) == {"greeting": "hi"}
    assert json.loads(_row(shop.request("page", None, state=Wanted.STOPPED)).parameters) == {"greeting": "hi"}
    assert json.loads(_row(shop.request("page", parameters={})).parameters) == {}


def test_stop_start_destroy(shop: "Rooms") -> None:
    first = shop.request("page")
    for state in (Wanted.STOPPED, Wanted.STARTED, Wanted.STOPPED, Wanted.DESTROYED):
        answer = shop.request("page", None, state=state)
        assert (answer.instance, answer.changed, _row(answer).wanted) == (first.instance, True, state)


def test_what_is_destroyed_holds_its_partition_until_its_node_says_so(shop: "Rooms") -> None:
    from freehold.master.fleet.models import Node, Partition

    answer = shop.request("page")
    shop.request("page", None, state=Wanted.DESTROYED)
    shop.node_says(answer.instance, "stopped")
    assert Partition.objects.filter(instance=answer.instance).exists()
    shop.node_says(answer.instance, "destroyed")
    assert not Partition.objects.filter(instance=answer.instance).exists()
    node = Node.objects.get()
    assert (node.free, node.used) == (4, 0)
    assert _row(answer).gone_at is not None


def test_what_said_destroyed_before_it_was_wanted_is_not_gone(shop: "Rooms") -> None:
    """What a node said of an older wish does not free the partition, where processes may still run."""
    from freehold.master.tasks import lanes

    answer = shop.request("page")
    shop.node_says(answer.instance, "destroyed", revision=_row(answer).revision)
    assert _row(answer).gone_at is None
    shop.request("page", None, state=Wanted.DESTROYED)
    lanes.run_once()
    assert _row(answer).gone_at is None
    shop.node_says(answer.instance, "destroyed", revision=_row(answer).revision)
    assert _row(answer).gone_at is not None


def test_the_same_title_again_after_destroy_is_another_instance(shop: "Rooms") -> None:
    first = shop.request("page")
    shop.request("page", None, state=Wanted.DESTROYED)
    second = shop.request("page")
    assert second.created
    assert second.instance != first.instance
    assert second.partition != first.partition
    shop.node_says(first.instance, "destroyed")
    from freehold.master.ordering import queries

    assert queries.by_title(shop.shop, "page")["id"] == second.instance


def test_to_destroy_twice_changes_nothing_the_second_time(shop: "Rooms") -> None:
    shop.request("page")
    first = shop.request("page", None, state=Wanted.DESTROYED)
    for _ in range(2):
        again = shop.request("page", None, state=Wanted.DESTROYED)
        assert (again.instance, again.created, again.changed) == (first.instance, False, False)
        shop.node_says(first.instance, "destroyed")


def test_what_never_was_cannot_be_destroyed(shop: "Rooms") -> None:
    with pytest.raises(NotFound, match="no 'page' in 'shop' to destroy"):
        shop.request("page", None, state=Wanted.DESTROYED)


def test_a_dry_run_keeps_nothing(shop: "Rooms") -> None:
    before = _everything()
    answer = shop.request("page", dry_run=True)
    assert (answer.created, answer.partition) == (True, "p0")
    assert _everything() == before
    shop.request("page")
    before = _everything()
    answer = shop.request("page", None, parameters={"greeting": "x"}, dry_run=True)
    assert (answer.created, answer.changed) == (False, True)
    assert shop.request("page", None, state=Wanted.DESTROYED, dry_run=True).changed
    assert _everything() == before


def test_a_dry_run_says_no_as_the_real_one_would(shop: "Rooms") -> None:
    with pytest.raises(InvalidParameters):
        shop.request("page", parameters={"size": 0}, dry_run=True)
    with pytest.raises(NoPlace):
        shop.request("page", constraints={"node": "lost"}, dry_run=True)


WRONG: list[tuple[dict[str, Any], str, str, Any]] = [
    ({"size": 11}, "parameters.size", "maximum", 11),
    ({"size": 0}, "parameters.size", "minimum", 0),
    ({"size": "big"}, "parameters.size", "type", "big"),
    ({"greeting": "x" * 41}, "parameters.greeting", "maxLength", "x" * 41),
    ({"greeting": None}, "parameters.greeting", "type", None),
    ({"colour": "red"}, "parameters", "additionalProperties", {"colour": "red"}),
]


@pytest.mark.parametrize(("parameters", "field", "rule", "value"), WRONG, ids=lambda one: str(one)[:20])
@pytest.mark.parametrize("exists", [False, True], ids=["new", "existing"])
def test_a_wrong_parameter_changes_nothing(
    shop: "Rooms", parameters: dict[str, Any], field: str, rule: str, value: Any, exists: bool
) -> None:
    if exists:
        shop.request("page")
    before = _everything()
    with pytest.raises(InvalidParameters) as caught:
        shop.request("page", parameters=parameters)
    (error,) = caught.value.errors
    assert (error.field, error.rule.split(":")[0], error.value) == (field, rule, value)
    assert _everything() == before


@pytest.mark.parametrize("title", ["", " x", "a/b", "x" * 101, "é", "a\nb", "a\0"])
def test_a_title_is_plain(shop: "Rooms", title: str) -> None:
    with pytest.raises(Invalid) as caught:
        shop.request(title)
    assert caught.value.errors[0].field == "title"


@pytest.mark.parametrize(
    "constraints",
    [
        {"colour": "red"}, {"cpus": "many"}, {"labels": ["a"]}, {"placement": "scatter"},
        {"node": "a\0"}, {"cpus": 2**70}, {"memory_mb": -1},
    ],
    ids=str,
)  # fmt: skip
def test_a_constraint_that_is_none_is_named(shop: "Rooms", constraints: dict[str, Any]) -> None:
    before = _everything()
    with pytest.raises((Invalid, NoPlace)) as caught:
        shop.request("page", constraints=constraints)
    assert caught.value.errors or caught.value.reasons
    assert _everything() == before


def test_other_constraints_are_refused_for_what_is_placed(shop: "Rooms") -> None:
    shop.request("page", constraints={"node": "n"})
    assert shop.request("page", constraints={"node": "n"}).changed is False
    assert shop.request("page").changed is False
    with pytest.raises(Conflict, match="placed already"):
        shop.request("page", constraints={"node": "other"})


def test_another_product_or_type_under_a_title_is_a_conflict(shop: "Rooms") -> None:
    shop.request("page")
    with pytest.raises(Conflict, match="'page' is product 'tiny', not 'other'"):
        shop.request("page", "other")
    with pytest.raises(Conflict, match="'page' is type 'default', not 'large'"):
        shop.request("page", type="large")


def test_what_does_not_exist_cannot_be_requested(shop: "Rooms") -> None:
    for spec, said in (
        ({"product": "lost"}, "no product 'lost'"),
        ({"product": "tiny", "release": "9"}, "no release '9'"),
        ({"product": "tiny", "type": "large"}, "no type 'large'"),
        ({"product": None}, "no 'page' in 'shop'"),
    ):
        with pytest.raises(NotFound, match=said):
            shop.request("page", spec.pop("product"), **spec)


def test_a_release_changes_only_when_it_is_named(shop: "Rooms") -> None:
    from freehold.master.fleet.models import Node

    old = _row(shop.request("page"))
    new = shop.publish(tiny_release(version="2.0"))
    shop.supply(new, Node.objects.get())
    assert shop.request("page", parameters={"greeting": "hi"}).changed
    assert _row(shop.request("page")).release_id == old.release_id
    changed = _row(shop.request("page", release="2.0"))
    assert (changed.release_id, changed.id, changed.partition) == (new.id, old.id, old.partition)
    assert shop.request("page", release="2.0").changed is False
    assert _row(shop.request("page", release="1.0")).release_id == old.release_id
    assert _row(shop.request("fresh")).release_id == new.id, "a new one takes the newest"


def test_a_release_that_no_node_could_build_is_not_what_a_new_order_gets(shop: "Rooms") -> None:
    from freehold.master.fleet.models import Node, Supply

    old = _row(shop.request("page")).release_id
    broken = shop.publish(tiny_release(version="2.0"))
    shop.supply(broken, Node.objects.get())
    Supply.objects.filter(release=broken).update(observed="failed")
    assert _row(shop.request("next")).release_id == old
    assert _row(shop.request("bold", release="2.0")).release_id == broken.id, "who names it has it"
    Supply.objects.update(observed="failed")
    assert _row(shop.request("last")).release_id == broken.id, "with none that could be built, the newest"


def test_a_node_that_could_not_build_it_is_looked_at_last(shop: "Rooms") -> None:
    from freehold.master.catalog.models import Release
    from freehold.master.fleet.models import Node, Supply

    large = shop.node("large", partitions=40)
    shop.supply(Release.objects.get(), large)
    assert _row(shop.request("first")).node_id == large.id
    Supply.objects.filter(node=large.id).update(observed="failed")
    assert _row(shop.request("second")).node_id == Node.objects.exclude(id=large.id).get().id
    Supply.objects.update(observed="failed")
    assert _row(shop.request("third")).node_id == large.id, "better tried than refused"


def test_a_release_that_the_node_may_not_run_is_not_taken(shop: "Rooms") -> None:
    shop.request("page")
    shop.publish(tiny_release(version="2.0"))
    before = _everything()
    with pytest.raises(NoPlace, match=r"Node 'n', where 'page' lives, has no supply of tiny 2\.0"):
        shop.request("page", release="2.0")
    assert _everything() == before


def test_a_release_of_another_weight_is_not_taken_in_place(shop: "Rooms") -> None:
    from freehold.master.fleet.models import Node

    shop.request("page")
    shop.supply(shop.publish(tiny_release(version="2.0", weight=5)), Node.objects.get())
    with pytest.raises(Conflict, match="another weight"):
        shop.request("page", release="2.0")


def test_the_present_parameters_must_fit_the_new_release(shop: "Rooms") -> None:
    from freehold.master.fleet.models import Node

    strict = {"type": "object", "properties": {"greeting": {"maxLength": 3}}}
    shop.request("page", parameters={"greeting": "bonjour"})
    shop.supply(shop.publish(tiny_release(version="2.0", schema=strict)), Node.objects.get())
    with pytest.raises(InvalidParameters):
        shop.request("page", release="2.0")
    assert shop.request("page", release="2.0", parameters={"greeting": "hi"}).changed


def test_an_old_instance_can_be_stopped_and_destroyed_whatever_the_catalogue_became(shop: "Rooms") -> None:
    from freehold.master.fleet import actions

    shop.request("page")
    actions.change_node("n", "provider", open=False, capacity=0, acting=shop.owner)
    assert shop.request("page", None, state=Wanted.STOPPED).changed
    assert shop.request("page", None, state=Wanted.DESTROYED).changed


def test_the_projects_of_others_take_no_requests(shop: "Rooms") -> None:
    from freehold.master.ordering import actions

    for project in ("provider", "nowhere"):
        with pytest.raises(Forbidden, match=f"'{project}' is not a project of yours"):
            actions.request(actions.Request(project, "x", product="tiny"), acting=shop.customer)


def test_titles_are_a_projects_own(shop: "Rooms") -> None:
    from freehold.master.ordering import actions

    theirs = actions.request(actions.Request("provider", "page", product="tiny"), acting=shop.owner)
    assert shop.request("page").instance != theirs.instance


def test_a_note_is_kept_with_a_service_and_configures_nothing_anew(shop: "Rooms") -> None:
    from freehold.master.foundation.models import AuditRow
    from freehold.master.ordering import queries

    made = shop.request("page", note="For the élèves 👩‍🏫")
    before = _row(made)
    assert queries.by_id(made.instance)["free_text"] == {"note": "For the élèves 👩‍🏫"}
    assert not shop.request("page", None).changed, "what is not said stays"
    assert not shop.request("page", None, note="For the élèves 👩‍🏫").changed
    assert shop.request("page", None, note="Mine").changed
    assert (_row(made).note, _row(made).revision) == ("Mine", before.revision)
    assert shop.request("page", None, note="").changed
    assert queries.by_id(made.instance)["free_text"] == {"note": ""}
    assert AuditRow.objects.filter(subject=made.instance, verb="instance.describe").count() == 2
    assert "Mine" not in str(list(AuditRow.objects.values()))
    assert shop.request("other").created
    assert queries.by_title(shop.shop, "other")["free_text"] == {"note": ""}


def test_notes_leave_the_count_of_a_projects_instances_as_it_is(shop: "Rooms") -> None:
    """The column was added to a table whose triggers count."""
    from freehold.master.ordering import actions

    shop.request("page", note="one")
    shop.request("page", None, note="two")
    assert actions.count_instances(shop.shop) == 1


@pytest.mark.parametrize("note", ["x" * 201, "two\nlines", "red \x1b[31m", "zero \0", "half \ud800", "line\u2028"])
def test_a_note_that_is_no_line_of_text_changes_nothing(shop: "Rooms", note: str) -> None:
    shop.request("page", note="kept")
    before = _everything()
    for title in ("page", "new"):
        with pytest.raises(Invalid) as refused:
            shop.request(title, note=note)
        assert [error.field for error in refused.value.errors] == ["note"]
    assert _everything() == before


def test_what_instances_say_of_their_parts_is_what_an_order_may_say(shop: "Rooms") -> None:
    from dataclasses import fields

    from freehold.protocol.order import FIELDS, OF_PEOPLE
    from freehold.release import Request

    # What it waits for is its own business.
    said = {field.name for field in fields(Request)} - {"title", "returns", "ready"}
    assert said == set(FIELDS) - set(OF_PEOPLE)


def test_each_act_is_in_the_audit_log(shop: "Rooms") -> None:
    from freehold.master.foundation.models import AuditRow

    answer = shop.request("page", parameters={"greeting": "secret"})
    shop.request("page", None, state=Wanted.DESTROYED)
    shop.node_says(answer.instance, "destroyed")
    rows = list(AuditRow.objects.filter(subject=answer.instance).order_by("id").values_list("actor", "verb"))
    assert rows == [
        ("customer@shop.example", "instance.request"),
        ("customer@shop.example", "instance.change"),
        ("freehold", "instance.gone"),
    ]
    assert "secret" not in str(list(AuditRow.objects.values()))


def test_tidying_keeps_the_last_hundred_observations(shop: "Rooms") -> None:
    from freehold.master.ordering.models import InstanceRow, PublicationRow
    from freehold.master.tasks import lanes

    answer = shop.request("page")
    for number in range(150):
        InstanceRow.objects.create(
            instance_id=answer.instance, revision=number, state="started", message="", promises="[]", at=number
        )
    PublicationRow.objects.create(instance_id=answer.instance, revision=1, published="{}", at=1)
    lanes.run_once(bulk=True)
    kept = list(InstanceRow.objects.order_by("id").values_list("revision", flat=True))
    assert kept == list(range(50, 150))
    assert PublicationRow.objects.count() == 1


# Over HTTP, with the server's threads.


@pytest.fixture(scope="module")
def crowd(master: "Master") -> list[str]:
    """Tokens of a customer, and a node with room for all."""
    master.publish()
    master.node("wide", partitions=60)
    master.supply("tiny", "wide")
    return [master.project("shop")]


def _all_at_once(master: "Master", token: str, titles: list[str], **spec: Any) -> list[Any]:
    def one(title: str) -> Any:
        path = f"/api/v1/projects/shop/instances/{title}"
        return master.call("PUT", path, {"product": "tiny", **spec}, token=token)

    with ThreadPoolExecutor(len(titles)) as pool:
        return list(pool.map(one, titles))


def test_many_at_the_same_moment_get_one_instance(master: "Master", crowd: list[str]) -> None:
    answers = _all_at_once(master, crowd[0], ["same"] * 16)
    assert [answer.status for answer in answers] == [200] * 16
    assert len({answer.body["instance"]["id"] for answer in answers}) == 1
    assert sum(answer.body["created"] for answer in answers) == 1
    assert master.node_row("wide")["used"] == 1


def test_many_at_the_same_moment_get_a_partition_each(master: "Master", crowd: list[str]) -> None:
    answers = _all_at_once(master, crowd[0], [f"each-{number}" for number in range(24)])
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["partition"] for answer in answers}) == 24


def test_the_last_partition_is_given_once(master: "Master", crowd: list[str]) -> None:
    master.node("narrow", partitions=1)
    master.supply("tiny", "narrow")
    answers = _all_at_once(master, crowd[0], [f"last-{number}" for number in range(8)], constraints={"node": "narrow"})
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
    refused = next(answer.body for answer in answers if answer.status == 409)
    assert refused["type"] == "no-place"
    reasons = {one["reason"]: one["nodes"] for one in refused["reasons"]}
    assert reasons == {"is not node 'narrow'": 1, "has no free partition": 1}


def test_a_wrong_parameter_over_the_wire(master: "Master", crowd: list[str]) -> None:
    spec = {"product": "tiny", "parameters": {"size": 99}}
    answer = master.call("PUT", "/api/v1/projects/shop/instances/wrong", spec, token=crowd[0])
    assert (answer.status, answer.kind) == (422, "application/problem+json")
    assert answer.body["errors"] == [{"field": "parameters.size", "rule": "maximum: 10", "value": 99}]
    assert master.call("GET", "/api/v1/projects/shop/instances/wrong", token=crowd[0]).status == 404


def test_a_dry_run_over_the_wire(master: "Master", crowd: list[str]) -> None:
    path = "/api/v1/projects/shop/instances/dry"
    answer = master.call("PUT", f"{path}?dry_run=true", {"product": "tiny"}, token=crowd[0])
    assert (answer.status, answer.body["instance"], answer.body["dry_run"]) == (200, None, True)
    assert master.call("GET", path, token=crowd[0]).status == 404


@pytest.mark.parametrize(
    "body", [{"state": "flying"}, {"parameters": []}, {"parameters": "x"}, {"constraints": 7}, {"product": 7}]
)
def test_a_request_of_the_wrong_shape_names_the_field(master: "Master", crowd: list[str], body: dict[str, Any]) -> None:
    spec = {"product": "tiny", **body}
    answer = master.call("PUT", "/api/v1/projects/shop/instances/odd", spec, token=crowd[0])
    assert answer.status == 422
    assert next(iter(body)) in answer.body["errors"][0]["field"]


def test_parameters_without_end_are_refused(master: "Master", crowd: list[str]) -> None:
    for depth in (500, 50_000):
        deep = b'{"product": "tiny", "parameters": {"greeting": ' + b"[" * depth + b"]" * depth + b"}}"
        answer = master.call("PUT", "/api/v1/projects/shop/instances/deep", raw=deep, token=crowd[0])
        assert answer.status in (400, 422), answer.body


def test_a_list_is_read_in_pages(master: "Master", crowd: list[str]) -> None:
    path = "/api/v1/projects/shop/instances"
    everything = [one["id"] for one in master.call("GET", path, token=crowd[0]).body]
    found: list[str] = []
    while page := master.call("GET", f"{path}?limit=7&after={found[-1] if found else ''}", token=crowd[0]).body:
        found += [one["id"] for one in page]
    assert found == everything == sorted(everything)
    assert len(master.call("GET", f"{path}?limit=-5", token=crowd[0]).body) == 1


def test_what_has_no_way_back_has_none(shop: "Rooms") -> None:
    """Its author says that an older version cannot read what this one makes of its data."""
    from freehold.master.fleet.models import Node

    for version, more in (("2.0", {"goes_back": False}), ("3.0", {})):
        shop.supply(shop.publish(tiny_release("tiny", version, said=more)), *Node.objects.all())
    shop.request("page", release="1.0")
    shop.request("page", None, release="2.0")
    with pytest.raises(Conflict, match=r"cannot be read by 1\.0") as refused:
        shop.request("page", None, release="1.0")
    assert "restore a backup" in str(refused.value.remedy)
    shop.request("page", None, release="3.0")
    shop.request("page", None, release="2.0")
    assert shop.request("page", None, release="2.0").changed is False
