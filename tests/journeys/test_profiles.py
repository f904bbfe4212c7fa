"""Services configured by a buildout profile instead of a typed plan."""

from pathlib import Path

import pytest

from freehold.kit.waiting import page, shows, until
from freehold.node.supervisor.client import Supervisor
from support.machines import MODES, REPOSITORY, Cloud

RELEASES = REPOSITORY / "tests" / "releases"


@pytest.mark.parametrize("mode", MODES)
def test_a_profile_leads_to_the_same_partition_and_follows_its_parameters(
    cloud: Cloud, hello_by_profile: Path, mode: str
) -> None:
    machine = cloud.machine(unprivileged=mode == "unprivileged", title=mode)
    cloud.publish(hello_by_profile)
    title, where = f"profile-{mode}", {"node": mode}
    greeting = "costs ${money:here} & 50%\n[not a section]"
    shop = cloud.order(title, "hello-profile", parameters={"greeting": "bonjour"}, constraints=where)
    assert "bonjour" in page(shop["publication"]["url"])
    assert [promise["name"] for promise in shop["promises"]] == ["page", "services"]
    folder = machine.folder(shop["partition"])
    assert (folder / "etc" / "service" / "hello").exists()
    assert (folder / "etc" / "plugin" / "page.py").exists()
    pids = machine.pids(title)
    shop = cloud.order(title, "hello-profile", parameters={"greeting": "salut"})
    assert "salut" in page(shop["publication"]["url"])
    assert machine.pids(title) != pids
    cloud.master.request(title, "hello-profile", parameters={"greeting": greeting})
    until(shows(shop["publication"]["url"], "${money:here} &amp; 50%"), 30)
    assert cloud.order(title, "hello-profile", state="destroyed")["state"] == "destroyed"
    assert list(folder.iterdir()) == []


def test_a_profile_waits_for_what_it_requests_and_uses_it(cloud: Cloud) -> None:
    machine = cloud.machine(unprivileged=MODES[0] == "unprivileged", title="asking")
    where = {"node": "asking"}
    cloud.publish(RELEASES / "asking-profile")
    cloud.master.request(
        "asking", "asking-profile", parameters={"words": "${so} be it"}, constraints=where, partial=True
    )
    until(lambda: "There is no product 'answering-profile'" in cloud.master.show("asking")["message"], 60)
    shown = cloud.master.show("asking")
    assert (shown["ready"], shown["publication"]) == (False, {})
    services = machine.folder(shown["partition"]) / "etc" / "service"
    assert [path.name for path in services.iterdir()] == ["clock"], "what uses the answer is left out"
    clock = machine.pids("asking")
    cloud.publish(RELEASES / "answering-profile")
    shown = cloud.ready("asking")
    assert shown["publication"] == {"heard": "${so} be it"}
    assert [child["title"] for child in shown["children"]] == ["asking/answer"]
    assert (services.parent.parent / "srv" / "letter").read_text() == "${so} be it, 1 times\n"
    assert set(clock) < set(machine.pids("asking")), "what waited for nothing goes on"
    cloud.order("asking", "asking-profile", parameters={"words": "again", "times": 2})
    until(lambda: cloud.master.show("asking")["publication"] == {"heard": "again"}, 30)
    assert (services.parent.parent / "srv" / "letter").read_text() == "again, 2 times\n"
    assert cloud.order("asking", "asking-profile", state="destroyed")["state"] == "destroyed"


SHORT_LIVED = {
    "absent": ("exec /nonesuch/program", "right after its start, with status 127"),
    "failing": ("sleep 0.5; exit 3", "with status 3; see var/log/program.log"),
}


@pytest.mark.parametrize("title", SHORT_LIVED)
def test_a_service_that_dies_after_its_start_is_never_ready_and_says_why(cloud: Cloud, title: str) -> None:
    script, why = SHORT_LIVED[title]
    machine = cloud.machine(unprivileged=MODES[0] == "unprivileged", title=title)
    cloud.publish(RELEASES / "running-profile")
    where, seen = {"node": title}, []

    def look() -> bool:
        seen.append(cloud.master.show(title))
        return why in seen[-1]["message"]

    quoted = {"script": f"'{script}'"}
    cloud.master.request(title, "running-profile", parameters=quoted, constraints=where)
    until(look, 90)
    group = Supervisor(machine.root / "run").status
    until(lambda: look() and group()[seen[-1]["partition"]].processes[0].restarts > 4, 30)
    assert not any(shown["ready"] for shown in seen)
    assert {shown["promises_kept"] for shown in seen} == {False}
    mended = {"script": "'exec sleep 100000'"}
    shown = cloud.order(title, "running-profile", parameters=mended)
    assert shown["message"] == ""
    assert cloud.order(title, "running-profile", state="destroyed")["state"] == "destroyed"
