"""The parts of a service reach each other by name, at ports that nobody else reaches."""

import socket
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.machine import has_users
from freehold.kit.waiting import until
from support.machines import Cloud, Machine
from support.releases import written

pytestmark = pytest.mark.skipif(not has_users(), reason="only root has a firewall")
FAMILY = '''\
"""A front that asks its stores by name; each of them serves everybody at one port, and the family at another."""
import sys

import msgspec

from freehold.release import Cluster, Context, File, Network, Plan, Process, Release, RequestType, Type

SERVE = """
import socket, sys, threading
def serve(port):
    listener = socket.create_server((sys.argv[1], port))
    while True:
        listener.accept()[0].close()
for port in (8080, 8888):
    threading.Thread(target=serve, args=(port,)).start()
"""
ASK = """
import json, os, socket, sys, time
while True:
    found = {}
    for name in sys.argv[1:]:
        for port in (8080, 8888):
            try:
                socket.create_connection((name, port), 2).close()
                found[f"{name}:{port}"] = "reached"
            except OSError as error:
                found[f"{name}:{port}"] = type(error).__name__
    with open("srv/found.json.new", "w") as file:
        json.dump(found, file)
    os.rename("srv/found.json.new", "srv/found.json")
    time.sleep(0.2)
"""

class Parameters(msgspec.Struct):
    stores: int = 1

class Published(msgspec.Struct):
    peers: list[str] = []

class Nothing(msgspec.Struct):
    pass

def front(parameters: Parameters, context: Context) -> Plan:
    stores = Cluster("store", "family", parameters.stores, type="store")
    ask = File("etc/ask.py", ASK)
    names = tuple(peer.name for peer in context.peers)
    asker = Process("asker", (sys.executable, "-I", "-S", ask.path, *names), reads=(ask,))
    return Plan(files=(ask,), processes=(asker,), clusters=(stores,), publication=Published(list(names)))

def store(parameters: Nothing, context: Context) -> Plan:
    serve = File("etc/serve.py", SERVE)
    server = Process("server", (sys.executable, "-I", "-S", serve.path, context.address), reads=(serve,), ready=8888)
    return Plan(
        files=(serve,), processes=(server,), network=Network(listen=(8080,), internal=(8888,)),
        publication=Published([peer.name for peer in context.peers]),
    )

release = Release("family", "1", "A family.", {
    "default": Type("Front", Parameters, Published, front, peers=True,
                    requests=(RequestType("family", "store", number="stores"),)),
    "store": Type("Store", Nothing, Published, store, peers=True, orderable=False),
})
'''


@pytest.fixture(scope="module")
def machine(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    folder: Path = tmp_path_factory.mktemp("family")
    machine = cloud.machine(unprivileged=False, partitions=6, title="home")
    cloud.publish(written(folder, FAMILY))
    return machine


def _found(machine: Machine, shown: Any) -> str:
    path = machine.folder(shown["partition"]) / "srv" / "found.json"
    return path.read_text() if path.exists() else ""


def _reaches(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 2).close()
        return True
    except OSError:
        return False


def test_a_part_is_reached_by_its_name_and_its_internal_port_by_nobody_else(cloud: Cloud, machine: Machine) -> None:
    shown = cloud.order("smith", "family", parameters={"stores": 1})
    asked = '{"store-0:8080": "reached", "store-0:8888": "reached"}'
    until(lambda: _found(machine, shown) == asked, 30, what="the front reaches its store at both ports")
    store = cloud.master.show("smith/store-0")
    assert store["publication"] == {"peers": ["smith"]}
    assert _reaches(store["address"], 8080)
    assert not _reaches(store["address"], 8888), "who is not of the family"

    def told() -> Any:
        promises = {promise["name"]: promise for promise in cloud.master.show("smith/store-0")["promises"]}
        return promises.get("walls")

    refused = until(told, 60, what="its owner sees that somebody was refused")
    assert (refused["kept"], "packets to a port that it did not declare" in refused["message"]) == (True, True)
    assert cloud.master.show("smith/store-0")["ready"]
    stranger = cloud.order("jones", "family", parameters={"stores": 0})
    etc = (machine.root / "run" / "etc" / stranger["partition"] / "hosts").read_text()
    assert "store-0" not in etc


def test_who_comes_and_goes_is_known_to_all(cloud: Cloud, machine: Machine) -> None:
    shown = cloud.master.show("smith")
    cloud.master.request("smith", None, parameters={"stores": 2})
    until(lambda: '"store-1:8888": "reached"' in _found(machine, shown), 60, what="the second store is reached")
    cloud.ready("smith")
    names = ["smith", "store-1"]
    until(lambda: cloud.master.show("smith/store-0")["publication"] == {"peers": names}, 30, what="its sibling knows")
    cloud.master.request("smith", None, parameters={"stores": 1})
    until(lambda: "store-1" not in _found(machine, shown), 60, what="the second store is gone")
    until(lambda: cloud.master.show("smith/store-0")["publication"] == {"peers": ["smith"]}, 30)
    assert "store-1" not in (machine.root / "run" / "etc" / shown["partition"] / "hosts").read_text()
    cloud.ready("smith")
