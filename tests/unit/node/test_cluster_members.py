"""What becomes of a plan with a cluster, and of the plan of a member."""

import json
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509

from freehold.node.partition import layout
from freehold.node.partition.configure import run
from freehold.node.partition.layout import Layout, Outcome
from freehold.node.partition.order import ConfigureOrder
from freehold.release import Certificate, Cluster, Plan, ReleaseError, Request, Task
from freehold.release.plan import _check

INSTANCE = """\
import msgspec
from freehold.promises import FileState
from freehold.release import Certificate, Cluster, Context, Plan, Process, Release, Request, RequestType, Task, Type

class Parameters(msgspec.Struct):
    color: str = "blue"

class Publication(msgspec.Struct):
    text: str

def root(parameters: Parameters, context: Context) -> Plan:
    voters = Cluster("voter", "quorum", 2, "voter", {"color": parameters.color}, returns=("text",), ready=True)
    other = Request("other", "another")
    found = context.returned(voters)
    if found is None:
        return Plan(clusters=(voters,), requests=(other,))
    return Plan(
        processes=(Process("idle", ("/bin/sleep", "9")),),
        clusters=(voters,),
        publication=Publication("+".join(one["text"] for one in found)),
    )

def voter(parameters: Parameters, context: Context) -> Plan:
    cluster = context.cluster
    assert cluster is not None
    secure = Certificate("route", (context.address,), of_cluster=True)
    stop = Task("farewell", ("/bin/true",))
    return Plan(
        processes=(Process("voter", ("/bin/sleep", "9")),),
        certificates=(secure,),
        leave=(stop,),
        promises={"well": FileState("/etc/passwd", "not-empty")},
        publication=Publication(
            " ".join([cluster.me.title, *(one.address for one in cluster.others), cluster.authority])
        ),
    )

release = Release("quorum", "1.4", "", {
    "default": Type("Quorum", Parameters, Publication, root, requests=(RequestType("quorum", "voter", number=2),)),
    "voter": Type("Voter", Parameters, Publication, voter),
})
"""
MEMBERS = [
    {
        "ordinal": number,
        "title": f"vote/voter-{number}",
        "address": f"127.0.0.{number}",
        "node": "n",
        "site": "s",
        "published": {},
    }
    for number in range(2)
]


@pytest.fixture
def software(tmp_path: Path) -> Path:
    release = tmp_path / "software" / "release"
    release.mkdir(parents=True)
    (release / "instance.py").write_text(INSTANCE)
    return release.parent


def configured(folder: Path, software: Path, kind: str = "default", **more: Any) -> Layout:
    folder.mkdir(mode=0o700, exist_ok=True)
    order = ConfigureOrder("inst-1", "vote", kind, "127.0.0.9", str(folder), str(software), "{}", **more)
    return msgspec.json.decode(run(msgspec.json.encode(order)), type=Layout)


def voter(folder: Path, software: Path, ordinal: int, *, leaving: bool = False) -> Layout:
    known = {"name": "voter", "ordinal": ordinal, "secret": "ab" * 32, "members": MEMBERS, "leaving": leaving}
    return configured(folder, software, "voter", cluster=json.dumps(known))


def test_a_cluster_is_requested_of_the_own_release_and_awaited_whole(tmp_path: Path, software: Path) -> None:
    before = configured(tmp_path / "p0", software)
    (cluster,) = before.outcome.clusters
    assert (cluster.name, cluster.count, cluster.most_down) == ("voter", 2, 1)
    assert cluster.member["release"] == "1.4"
    assert "release" not in before.outcome.requests[0].spec, "that is another product"
    assert (before.outcome.missing, before.outcome.await_ready) == (["other", "voter"], ["voter"])
    assert before.outcome.keeps
    half = configured(tmp_path / "p0", software, child_publications=json.dumps({"voter-0": {"text": "a"}}))
    assert half.outcome.keeps
    given = {f"voter-{number}": {"text": str(number)} for number in range(5)}
    there = configured(tmp_path / "p0", software, child_publications=json.dumps(given))
    assert (there.published, there.outcome.missing) == ({"text": "0+1"}, [])
    merged = layout.after(there, before)
    assert merged.outcome.clusters == before.outcome.clusters


def test_members_know_each_other_and_trust_one_authority(tmp_path: Path, software: Path) -> None:
    texts = [voter(tmp_path / f"p{number}", software, number).published["text"] for number in range(2)]
    first, second = (str(one).split(" ", 2) for one in texts)
    assert (first[:2], second[:2]) == (["vote/voter-0", "127.0.0.1"], ["vote/voter-1", "127.0.0.0"])
    assert first[2] == second[2], "the same, byte for byte"
    authority = x509.load_pem_x509_certificate(first[2].encode())
    for number in range(2):
        path = tmp_path / f"p{number}" / "etc/certificate/route.pem"
        own = x509.load_pem_x509_certificate(path.read_bytes())
        own.verify_directly_issued_by(authority)
        ssl.create_default_context().load_cert_chain(path, path.with_suffix(".key"))
    written = (tmp_path / "p0/etc/certificate/route.pem").read_text()
    voter(tmp_path / "p0", software, 0)
    assert (tmp_path / "p0/etc/certificate/route.pem").read_text() == written


def test_one_that_leaves_runs_its_last_tasks_and_promises_nothing_else(tmp_path: Path, software: Path) -> None:
    stays = voter(tmp_path / "p0", software, 1)
    assert [one.name for one in stays.runs] == []
    assert "etc/plugin/well.py" in stays.promises
    leaves = voter(tmp_path / "p0", software, 1, leaving=True)
    assert [one.name for one in leaves.runs] == ["farewell"]
    assert leaves.services == stays.services, "it serves until it is gone"
    assert leaves.promises == ["etc/plugin/certificate-route.py", "etc/plugin/task-farewell.py"]


def test_a_certificate_of_a_cluster_needs_one(tmp_path: Path, software: Path) -> None:
    text = INSTANCE.replace("def root", "def unused").replace(
        "def voter(",
        """def root(parameters: Parameters, context: Context) -> Plan:
    return Plan(certificates=(Certificate("route", (context.address,), of_cluster=True),))

def voter(""",
    )
    (software / "release" / "instance.py").write_text(text)
    with pytest.raises(ReleaseError, match="The certificate 'route' is of a cluster, and this instance is in none"):
        configured(tmp_path / "p0", software)


@pytest.mark.parametrize(
    ("values", "mistake"),
    [
        ({"count": -1}, "count must be from 0 to 2000"),
        ({"count": "3"}, "count must be int"),
        ({"name": "-no"}, "a title has 1 to 100"),
        ({"most_down": 0}, "most_down must be from 1"),
        ({"ready_within": 0}, "ready_within must be from 0.1"),
        ({"leave_within": -1}, "leave_within must be from 0"),
        ({"parameters": {"a": object()}}, "must be what JSON can say"),
    ],
)
def test_what_cannot_be_a_cluster_is_told(values: dict[str, Any], mistake: str) -> None:
    with pytest.raises(TypeError, match=mistake):
        Cluster(**{"name": "voter", "product": "quorum", "count": 3} | values)


def test_names_of_members_are_nobody_elses() -> None:
    with pytest.raises(ReleaseError, match="two of the request 'voter-1'"):
        _check(Plan(clusters=(Cluster("voter", "quorum", 2),), requests=(Request("voter-1", "quorum"),)))
    with pytest.raises(ReleaseError, match="two of the process or task 'x'"):
        _check(Plan(tasks=(Task("x", ("/bin/true",)),), leave=(Task("x", ("/bin/true",)),)))
    assert Outcome().clusters == []
    with pytest.raises(TypeError, match="of_cluster must be bool"):
        Certificate("x", ("a",), of_cluster="yes")  # type: ignore[arg-type]
