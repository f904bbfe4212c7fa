"""A quorum of voters, each on a node of its own, and what waits for all of them."""

import json
from typing import Annotated

import msgspec

from freehold.promises import Http
from freehold.release import Cluster, Context, File, Network, Plan, Process, Release, RequestType, Task, Type

PORT = 8080
PYTHON = ("/usr/bin/env", "python3")
PRESENT = "1.0"


class Parameters(msgspec.Struct):
    voters: Annotated[int, msgspec.Meta(ge=1, le=7)] = 3
    color: str = "blue"


class Publication(msgspec.Struct):
    addresses: list[str]
    colors: list[str]


class VoterParameters(msgspec.Struct):
    color: str = "blue"


class VoterPublication(msgspec.Struct):
    address: str
    color: str
    version: str


def root(parameters: Parameters, context: Context) -> Plan:
    voters = Cluster(
        "voter",
        "quorum",
        parameters.voters,
        "voter",
        parameters={"color": parameters.color},
        returns=("address",),
        ready=True,
        ready_within=20,
        leave_within=20,
    )
    published = context.returned(voters)
    if published is None:
        return Plan(clusters=(voters,))
    return Plan(
        clusters=(voters,),
        publication=Publication([one["address"] for one in published], [one["color"] for one in published]),
    )


def voter(parameters: VoterParameters, context: Context) -> Plan:
    assert context.cluster is not None
    settings = File(
        "etc/voter.json",
        json.dumps(
            {
                "address": context.address,
                "addresses": [one.address for one in context.cluster.members],
                "color": parameters.color,
                "version": PRESENT,
                "secret": context.cluster.secret("route"),
            }
        ),
    )
    server = Process("voter", (*PYTHON, context.release / "voter.py", context.partition), reads=(settings,))
    first = f"http://{context.cluster.members[0].address}:{PORT}/leave/{context.cluster.ordinal}"
    leave = Task("leave", (*PYTHON, "-c", f"import urllib.request; urllib.request.urlopen({first!r}, timeout=5)"))
    return Plan(
        processes=(server,),
        files=(settings,),
        leave=(leave,),
        network=Network(listen=(PORT,)),
        promises={"health": Http(f"http://{context.address}:{PORT}/health")},
        publication=VoterPublication(context.address, parameters.color, PRESENT),
    )


release = Release(
    "quorum",
    PRESENT,
    "A quorum that does nothing.",
    {
        "default": Type(
            "Quorum",
            Parameters,
            Publication,
            root,
            requests=(RequestType("quorum", "voter", number="voters", apart="node"),),
        ),
        "voter": Type("Voter", VoterParameters, VoterPublication, voter),
    },
)
