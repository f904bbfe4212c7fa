"""Trees and shared instances with both components for real, and what their authors are told of mistakes."""

import os
import signal
import time
from pathlib import Path

import pytest

from freehold.kit.waiting import until
from freehold.release.folder import generate, load
from support.machines import Cloud, Machine

BUILT_OF_NOTHING = "[buildout]\nparts =\n"
ASKING = '''\
"""A release that requests what its parameters say."""
import msgspec
from freehold.release import Context, File, Plan, Process, Publication_, Release, Request, RequestType, Type

class Parameters(msgspec.Struct):
    product: str = ""
    type: str = "default"
    wrong: bool = False

class Publication(msgspec.Struct):
    heard: str = ""

def plan(parameters: Parameters, context: Context) -> Plan:
    server = Process("idle", ("/bin/sleep", "1000000"))
    if parameters.wrong:
        return Plan(processes=(server,), files=(File("../outside", ""),))
    if not parameters.product:
        return Plan(processes=(server,))
    child = Request("child", parameters.product, parameters.type, returns=("heard",))
    given = context.returned(child)
    return Plan(processes=(server,), requests=(child,), publication=Publication(given["heard"] if given else ""))

requests = tuple(RequestType(product) for product in ("asking", "nothing-of-the-kind"))
release = Release("asking", "1.0", "For tests.", {
    "default": Type("Asking", Parameters, Publication, plan, requests=requests),
})
'''.replace(", Publication_", "")
GROWING = '''\
"""A release that says nothing but what it requests until that is there, as the reference shows."""
import msgspec
from freehold.release import Context, File, Plan, Process, Release, Request, RequestType, Type
from freehold.promises import FileState

class Parameters(msgspec.Struct):
    products: list[str] = []

class Publication(msgspec.Struct):
    parts: int

def plan(parameters: Parameters, context: Context) -> Plan:
    parts = tuple(Request(product, product, returns=("guests",)) for product in parameters.products)
    if None in [context.returned(part) for part in parts]:
        return Plan(requests=parts)
    return Plan(
        processes=(Process("idle", ("/bin/sleep", "1000000")),),
        files=(File("etc/parts", f"{len(parts)}\\n"),),
        requests=parts,
        promises={"parts": FileState(str(context.partition / "etc/parts"), "not-empty")},
        publication=Publication(len(parts)),
    )

requests = tuple(RequestType(product) for product in ("serving", "nothing-of-the-kind"))
release = Release("growing", "1.0", "For tests.", {
    "default": Type("Growing", Parameters, Publication, plan, requests=requests),
})
'''
WAITING = '''\
"""A release that requests one of its own, which publishes at once and is ready a second later."""
import msgspec
from freehold.release import Context, File, Plan, Process, Release, Request, RequestType, Task, Type
from freehold.promises import FileState

class Parameters(msgspec.Struct):
    pass

class Publication(msgspec.Struct):
    url: str

def parent(parameters: Parameters, context: Context) -> Plan:
    late = Request("late", "waiting", "late", returns=("url",), ready=True)
    given = context.returned(late)
    if given is None:
        return Plan(requests=(late,))
    sees = ("/bin/sh", "-c", "date +%s.%N >srv/start; exec sleep 1000000")
    return Plan(processes=(Process("sees", sees),), requests=(late,), publication=Publication(given["url"]))

def late(parameters: Parameters, context: Context) -> Plan:
    make = Task("make", ("/bin/sh", "-c", "sleep 2; date +%s.%N >srv/there"))
    return Plan(tasks=(make,), publication=Publication("late:"))

release = Release("waiting", "1.0", "For tests.", {
    "default": Type("Parent", Parameters, Publication, parent, requests=(RequestType("waiting", "late"),)),
    "late": Type("Late", Parameters, Publication, late),
})
'''
SERVING = '''\
"""A release that serves shared instances."""
import msgspec
from freehold.release import Context, File, Plan, Process, Refusal, Release, Secret, SharedType, Task, Type

class Parameters(msgspec.Struct):
    fails: bool = False

class Publication(msgspec.Struct):
    guests: int

class Wish(msgspec.Struct):
    name: str = "shelf"

class Given(msgspec.Struct):
    name: str
    password: Secret

def plan(parameters: Parameters, context: Context) -> Plan:
    names = File("etc/names", "".join(sorted(f"{one.parameters.name}\\n" for one in context.shared)))
    take = f"sleep 1; {'exit 3' if parameters.fails else 'cp etc/names srv/names'}"
    return Plan(
        processes=(Process("idle", ("/bin/sleep", "1000000")),),
        files=(names,),
        tasks=(Task("take", ("/bin/sh", "-c", take), reads=(names,)),),
        publication=Publication(len(context.shared)),
        shared={
            one.instance: Refusal("No room for that.") if one.parameters.name == "elephant"
            else Given(one.parameters.name, one.secret("password"))
            for one in context.shared
        },
    )

release = Release("serving", "1.0", "For tests.", {
    "default": Type("Host", Parameters, Publication, plan),
    "shelf": SharedType("Shelf", Wish, Given),
})
'''


@pytest.fixture(scope="module")
def machine(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    made = cloud.machine(unprivileged=os.geteuid() != 0, title="trees", partitions=12)
    for name, text in (("asking", ASKING), ("growing", GROWING), ("waiting", WAITING), ("serving", SERVING)):
        folder = tmp_path_factory.mktemp(name)
        (folder / "instance.py").write_text(text)
        (folder / "software.cfg").write_text(BUILT_OF_NOTHING)
        for path, content in generate(load(folder)).items():
            (folder / path).write_text(content)
        cloud.publish(folder)
    return made


def message(cloud: Cloud, title: str, words: str) -> str:
    """Return what is said of an instance once it holds these words."""
    return str(until(lambda: (m := cloud.master.show(title)["message"]) and words in m and m, 30))


def test_a_circular_request_is_told_and_ends_nothing(cloud: Cloud, machine: Machine) -> None:
    cloud.master.request("circle", "asking", partial=True, parameters={"product": "asking"})
    said = message(cloud, "circle", "circular request: asking (default) → asking (default)")
    assert "Correct the release's requests." in said
    assert machine.pids("circle"), "what runs goes on"
    assert cloud.master.show("circle")["children"] == []


def test_a_missing_product_is_told_until_it_is_there_no_more_to_miss(cloud: Cloud, machine: Machine) -> None:
    cloud.master.request("wishful", "asking", partial=True, parameters={"product": "nothing-of-the-kind"})
    assert "'child' was not granted" in message(cloud, "wishful", "There is no product 'nothing-of-the-kind'")
    shown = cloud.order("wishful", "asking", partial=True, parameters={})
    assert shown["message"] == ""


def test_what_runs_goes_on_while_a_part_is_added_refused_and_removed(cloud: Cloud, machine: Machine) -> None:
    cloud.order("town", "growing", partial=True, parameters={"products": []})
    pids = machine.pids("town")
    assert pids

    def changed(*products: str) -> None:
        cloud.master.request("town", "growing", partial=True, parameters={"products": list(products)})

    changed("nothing-of-the-kind")
    message(cloud, "town", "There is no product 'nothing-of-the-kind'")
    waiting = cloud.master.show("town")
    assert (waiting["ready"], waiting["publication"]) == (False, {"parts": 0})
    assert {one["name"] for one in waiting["promises"]} == {"parts", "services"}
    assert machine.pids("town") == pids
    # What dies meanwhile is started again, and what starts with the machine is what ran before.
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: machine.pids("town") not in ([], pids), 30, what="it runs again")
    pids = machine.pids("town")
    changed("serving")
    until(lambda: cloud.ready("town")["publication"] == {"parts": 1}, 60, what="the part is there")
    assert cloud.master.show("town/serving")["ready"]
    changed()
    until(lambda: cloud.ready("town")["publication"] == {"parts": 0}, 60, what="the part is gone")
    assert machine.pids("town") == pids


def test_a_parent_begins_when_its_part_is_ready_and_not_when_that_published(cloud: Cloud, machine: Machine) -> None:
    shown = cloud.order("patient", "waiting")
    assert shown["publication"] == {"url": "late:"}
    start, there = (
        float((machine.folder(cloud.master.show(title)["partition"]) / "srv" / name).read_text())
        for title, name in (("patient", "start"), ("patient/late", "there"))
    )
    assert there < start


def test_a_wrong_plan_is_told_and_touches_nothing_that_runs(cloud: Cloud, machine: Machine) -> None:
    cloud.order("sound", "asking", partial=True)
    pids = machine.pids("sound")
    cloud.master.request("sound", "asking", partial=True, parameters={"wrong": True})
    message(cloud, "sound", "'../outside' is not a path inside the partition")
    assert machine.pids("sound") == pids
    assert cloud.master.show("sound")["state"] == "failed"


def test_guests_get_their_own_answers_and_secrets(cloud: Cloud, machine: Machine) -> None:
    cloud.order("host", "serving")
    given = {}
    for title in ("one", "two"):
        cloud.order(title, "serving", type="shelf", parameters={"name": title})
        shown = cloud.master.reveal(title)
        given[title] = shown["publication"]
        assert shown["publication"]["name"] == title
    assert given["one"]["password"] != given["two"]["password"]
    cloud.master.request("big", "serving", type="shelf", parameters={"name": "elephant"})
    assert message(cloud, "big", "room") == "No room for that."
    until(lambda: cloud.master.show("host")["publication"] == {"guests": 3})
    pids = until(lambda: len(found := machine.pids("host")) == 1 and found, what="its task ended")
    for title in ("one", "two", "big"):
        cloud.master.request(title, "serving", state="destroyed")
    until(lambda: cloud.master.show("host")["publication"] == {"guests": 0})
    until(lambda: all(cloud.master.show(title)["state"] == "destroyed" for title in given))
    until(lambda: machine.pids("host") == pids, what="nothing else runs, and that was not started anew")


def test_a_guest_is_there_and_gone_when_its_host_did_what_that_takes(cloud: Cloud, machine: Machine) -> None:
    shown = cloud.order("keeper", "serving")
    names = machine.root / "partitions" / shown["partition"] / "srv" / "names"
    where = {"instance": "keeper"}
    cloud.order("early", "serving", type="shelf", parameters={"name": "early"}, constraints=where)
    assert names.read_text() == "early\n", "it was told when that was done"
    cloud.master.request("keeper", "serving", parameters={"fails": True})
    message(cloud, "keeper", "status 3")
    cloud.master.request("early", "serving", state="destroyed")
    cloud.master.request("late", "serving", type="shelf", parameters={"name": "late"}, constraints=where)
    until(lambda: cloud.master.show("keeper")["publication"] == {"guests": 1}, 30)
    time.sleep(3)
    assert cloud.master.show("early")["state"] == "destroying", "its name is there still"
    assert not cloud.master.show("late")["ready"]
    cloud.master.request("keeper", "serving", parameters={"fails": False})
    cloud.ready("late")
    until(lambda: cloud.master.show("early")["state"] == "destroyed", 30)
    assert names.read_text() == "late\n"


def test_a_secret_that_survives_is_the_same_after_the_node_is_lost(
    cloud: Cloud, machine: Machine, tmp_path: Path
) -> None:
    """The agent's memory and the partition's files are gone; the node enrols again and the password is the same."""
    cloud.order("lasting", "serving")
    cloud.order("precious", "serving", type="shelf", constraints={"instance": "lasting"})
    before = cloud.master.reveal("precious")["publication"]
    machine.kill()
    for path in machine.root.glob("node.sqlite*"):
        path.unlink()
    settings = machine.root / "node.json"
    assert settings.exists()
    machine.enrol(cloud.master.url, "trees", cloud.master.enrol_token("trees"))
    machine.start()
    until(lambda: cloud.ready("lasting"))
    until(lambda: cloud.master.show("precious")["ready"])
    assert cloud.master.reveal("precious")["publication"] == before
