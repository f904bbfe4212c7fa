"""A misspelt name in a body or a query is told, with the nearest known one, and nothing is done."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.running import Master


@pytest.fixture(scope="module")
def shop(master: "Master") -> str:
    master.publish()
    master.node("wide", partitions=4)
    master.supply("tiny", "wide")
    return master.project("shop")


@pytest.mark.parametrize(
    ("query", "body", "words"),
    [
        ("", {"product": "tiny", "paramters": {"size": 2}}, "There is no 'paramters' here; do you mean 'parameters'?"),
        ("?dryrun=true", {"product": "tiny"}, "There is no 'dryrun' here; do you mean 'dry_run'?"),
        ("?x=1", {"product": "tiny"}, "There is no 'x' here; known are: dry_run, now, partial."),
    ],
)
def test_a_misspelt_name_orders_nothing(master: "Master", shop: str, query: str, body: Any, words: str) -> None:
    answer = master.call("PUT", f"/api/v1/projects/shop/instances/misspelt{query}", body, token=shop)
    assert (answer.status, words in answer.body["detail"]) == (422, True), answer.body
    assert master.call("GET", "/api/v1/projects/shop/instances/misspelt", token=shop).status == 404


def test_no_body_and_no_query_of_the_api_takes_an_unknown_name(master: "Master") -> None:
    document = master.api("GET", "/openapi.json")
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]
        for path in document["paths"].values()
        for operation in path.values()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]
    assert len(bodies) > 20
    for body in bodies:
        name = body["$ref"].rpartition("/")[2]
        assert name.endswith("In"), name
    for path in ("/me", "/releases"):
        answer = master.call("GET", f"/api/v1{path}?colour=red", token=master.owner)
        assert (answer.status, "'colour'" in answer.body["detail"]) == (422, True), path
