"""A service is changed while people use it: what runs serves on until its successor can, and reads anew what it can."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import page, until
from support.machines import MODES, Cloud, Machine
from support.releases import written

SHOP = '''\
"""A release with a server, which a migration goes before, and a file that the server reads anew."""
import json
import sys

import msgspec

from freehold.promises import Http
from freehold.release import Context, File, Network, Plan, Process, Release, Task, Type

SERVE = """
import http.server, json, signal, sys

greeting = json.load(open("etc/settings.json"))["greeting"]
users = []

def read(*ignored):
    users[:] = json.load(open("etc/users.json"))

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{greeting} {' '.join(users)}".encode())

read()
signal.signal(signal.SIGHUP, read)
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Page).serve_forever()
"""
MIGRATE = """
import json, os, sys, time
settings = json.load(open("etc/settings.json"))
time.sleep(settings["migration_s"])
with open("srv/data", "a") as data:
    data.write(settings["greeting"] + chr(10))
if settings["fails"]:
    sys.exit("the data cannot be migrated")
"""

class Parameters(msgspec.Struct):
    greeting: str = "one"
    migration_s: float = 0.0
    fails: bool = False
    users: list[str] = []

class Published(msgspec.Struct):
    url: str

def plan(parameters: Parameters, context: Context) -> Plan:
    port = context.port("http")
    said = {"greeting": parameters.greeting, "migration_s": parameters.migration_s, "fails": parameters.fails}
    settings = File("etc/settings.json", json.dumps(said))
    users = File("etc/users.json", json.dumps(parameters.users))
    serve, migrate = File("etc/serve.py", SERVE), File("etc/migrate.py", MIGRATE)
    python = (sys.executable, "-I", "-S")
    migration = Task("migrate", (*python, migrate.path), reads=(settings, migrate))
    server = Process(
        "server", (*python, serve.path, context.address, str(port)),
        reads=(settings, serve), reloads=(users,), after=(migration,), ready=port,
    )
    url = f"http://{context.address}:{port}/"
    return Plan(
        files=(settings, users, serve, migrate), tasks=(migration,), processes=(server,),
        promises={"page": Http(url)}, network=Network(listen=(port,)), publication=Published(url),
    )

release = Release("corner", "1", "A shop.", {"default": Type("", Parameters, Published, plan)})
'''


class Shop:
    """The service, seen by who uses it."""

    def __init__(self, cloud: Cloud, machine: Machine, node: str) -> None:
        self.cloud, self.machine, self.title = cloud, machine, f"corner-{node}"
        self.shown = cloud.order(self.title, "corner", constraints={"node": node}, parameters={"greeting": "one"})
        self.url = self.shown["publication"]["url"]
        self.data = machine.folder(self.shown["partition"]) / "srv" / "data"

    def change(self, **parameters: Any) -> None:
        self.cloud.master.request(self.title, None, parameters=parameters)

    def says(self) -> str:
        return page(self.url)

    def pids(self) -> list[int]:
        return self.machine.pids(self.title)

    def broken(self) -> dict[str, str]:
        promises = self.cloud.master.show(self.title)["promises"]
        return {promise["name"]: promise["message"] for promise in promises if promise["kept"] is False}


@pytest.fixture(scope="module", params=MODES)
def shop(request: pytest.FixtureRequest, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder: Path = tmp_path_factory.mktemp("corner")
    machine = cloud.machine(unprivileged=request.param != "root", title=request.param)
    cloud.publish(written(folder, SHOP))
    return Shop(cloud, machine, request.param)


def test_nobody_notices_a_migration_before_its_end(shop: Shop) -> None:
    pids = shop.pids()
    shop.change(greeting="three", migration_s=4.0)
    begun, said = time.monotonic(), set()
    while time.monotonic() - begun < 3.0:
        said.add(shop.says())
        time.sleep(0.02)
    assert said == {"one "}, "no request of three seconds was refused, or answered by another"
    until(lambda: _or_nothing(shop) == "three ", 20, what="the new one serves")
    shop.cloud.ready(shop.title)
    assert set(shop.pids()).isdisjoint(pids)


def test_a_migration_that_fails_leaves_the_former_one_serving_and_says_why(shop: Shop) -> None:
    pids = shop.pids()
    shop.change(greeting="four", fails=True)
    words = "the data cannot be migrated"
    until(lambda: words in shop.broken().get("task-migrate", ""), 5, what="the task's promise says why it is broken")
    assert shop.says() == "three "
    assert set(pids) & set(shop.pids()), "the server is the one that it was"
    assert shop.cloud.master.show(shop.title)["ready"] is False
    shop.change(greeting="five")
    until(lambda: _or_nothing(shop) == "five ", 20, what="what can be migrated serves")
    shop.cloud.ready(shop.title)


def test_a_wrong_value_changes_nothing(shop: Shop) -> None:
    refused = shop.cloud.master.call(
        "PUT",
        f"/api/v1/projects/provider/instances/{shop.title}",
        {"parameters": {"migration_s": "long"}},
        token=shop.cloud.master.owner,
    )
    assert refused.status == 422
    assert shop.says() == "five "


def test_what_it_reads_anew_restarts_nothing(shop: Shop) -> None:
    pids = shop.pids()
    shop.change(greeting="five", users=["ada", "grace"])
    until(lambda: _or_nothing(shop) == "five ada grace", 20, what="the new users are known")
    assert shop.pids() == pids
    shop.cloud.ready(shop.title)
    assert json.loads((shop.data.parent.parent / "etc" / "users.json").read_text()) == ["ada", "grace"]


def _or_nothing(shop: Shop) -> str:
    try:
        return shop.says()
    except OSError:
        # Between the end of the former server and the start of the next one nobody listens.
        return ""
