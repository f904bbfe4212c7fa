"""`kill -9` in the middle of things, and `freehold master check`."""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.running import Master


@pytest.fixture(scope="module")
def token(master: "Master") -> str:
    master.publish()
    master.node("wide", partitions=120)
    master.supply("tiny", "wide")
    return master.project("shop")


def _ask(master: "Master", token: str, title: str) -> Any:
    """Return the granted instance, or None when the server was gone before it answered."""
    path = f"/api/v1/projects/shop/instances/{title}"
    try:
        answer = master.call("PUT", path, {"product": "tiny", "parameters": {"size": 2}}, token=token)
    except (OSError, http.client.HTTPException):
        return None
    assert answer.status == 200, answer.body
    return answer.body["instance"]


@pytest.mark.parametrize("after", [1, 10, 30])
def test_a_kill_among_fifty_requests_leaves_no_half_order(master: "Master", token: str, after: int) -> None:
    titles = [f"crash-{after}-{number}" for number in range(50)]
    ((before,),) = master.sql("SELECT count(*) FROM ordering_instance WHERE title LIKE ?", f"crash-{after}-%")
    assert before == 0
    with ThreadPoolExecutor(50) as pool:
        futures = {title: pool.submit(_ask, master, token, title) for title in titles}
        master.until(lambda: sum(future.done() for future in futures.values()) >= after, 60)
        master.kill()
        granted = {title: future.result() for title, future in futures.items()}
    assert None in granted.values(), "the server was killed in the middle"
    ((whole,),) = master.sql(
        "SELECT count(*) FROM ordering_instance i JOIN fleet_partition p ON p.instance = i.id"
        " AND p.node_id = i.node_id AND p.name = i.partition JOIN foundation_auditrow a ON a.subject = i.id"
        " AND a.verb = 'instance.request' WHERE i.title LIKE ?",
        f"crash-{after}-%",
    )
    ((orders,),) = master.sql("SELECT count(*) FROM ordering_instance WHERE title LIKE ?", f"crash-{after}-%")
    ((held,),) = master.sql("SELECT count(*) FROM fleet_partition WHERE instance IS NOT NULL")
    ((all_orders,),) = master.sql("SELECT count(*) FROM ordering_instance WHERE gone_at IS NULL")
    assert whole == orders
    assert held == all_orders
    assert orders >= sum(one is not None for one in granted.values())
    master.start()
    again = {title: _ask(master, token, title) for title in titles}
    for title, first in granted.items():
        if first is not None:
            assert (again[title]["id"], again[title]["partition"]) == (first["id"], first["partition"])
    assert len({one["id"] for one in again.values()}) == 50
    assert master.cli("check").strip() == "Everything is in order."
    for title in titles:
        master.request(title, None, project="shop", token=token, state="destroyed")
    master.sql(
        "INSERT INTO ordering_instancerow (instance_id, revision, state, message, promises, at)"
        " SELECT id, revision, 'destroyed', '', '[]', 1 FROM ordering_instance WHERE wanted = 'destroyed'"
    )
    master.cli("reconcile", "--bulk")
    assert master.node_row("wide")["free"] == 120


def test_a_kill_among_reports_counts_each_once(master: "Master", token: str) -> None:
    node = master.node("reporting", partitions=1)
    master.supply("tiny", "reporting")
    spec = {"product": "tiny", "constraints": {"node": "reporting"}}
    path = "/api/v1/projects/shop/instances/counted"
    instance = master.call("PUT", path, spec, token=token).body["instance"]["id"]
    now = time.time()
    outbox = [node.write({"kind": "usage", "instance": instance, "at": now, "cpu_ms": n}) for n in range(1, 201)]
    acknowledged = 0

    def send_all() -> None:
        nonlocal acknowledged
        for start in range(0, len(outbox), 4):
            try:
                status, applied = node.send(*outbox[start : start + 4])
            except (OSError, http.client.HTTPException):
                return
            assert status == 200
            acknowledged = applied["sequence"]

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_all)
        master.until(lambda: acknowledged > 20)
        master.kill()
        sending.result()
    master.start()
    node.close()
    assert node.send()[1]["sequence"] >= acknowledged, "what was acknowledged is kept"
    status, applied = node.send(*outbox)
    assert (status, applied["sequence"]) == (200, node.sequence)
    assert master.sql("SELECT cpu_ms FROM usage_lastreading WHERE instance_id = ?", instance) == [(200,)]
    assert master.sql("SELECT sum(cpu_ms) FROM usage_hour WHERE instance_id = ?", instance) == [(200,)]


def test_check_says_what_is_wrong_and_what_to_do(master: "Master", token: str) -> None:
    key = master.root / "authority" / "server.key"
    release = next((master.root / "releases").iterdir())
    key.chmod(0o644)
    moved = release.rename(release.with_suffix(".away"))
    try:
        done = master.run("check")
    finally:
        key.chmod(0o600)
        moved.rename(release)
    assert done.returncode == 1
    assert f"{key} can be read by others: chmod 600 {key}" in done.stderr
    assert "The archive of tiny 1.0 is missing: publish the release again." in done.stderr
    assert done.stdout.strip() == "2 things are wrong."
    assert master.run("check").returncode == 0


def test_check_tells_in_time_that_the_servers_certificate_ends(
    master: "Master", token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.fleet import authority

    server = master.root / "authority" / "server.pem"
    kept = server.read_text(), (master.root / "authority" / "server.key").read_text()
    (master.root / "authority" / "server.key").unlink()
    monkeypatch.setattr(authority, "SERVER_DAYS", 20)
    authority.Authority(master.root / "authority").sign_server(["localhost"])
    end = datetime.now(UTC) + timedelta(days=20)
    done = master.run("check")
    server.write_text(kept[0])
    (master.root / "authority" / "server.key").write_text(kept[1])
    assert done.returncode == 1
    assert f"ends on {end:%Y-%m-%d}" in done.stderr


def test_serving_what_was_never_initialised_says_so(master: "Master") -> None:
    done = master.run("serve", "--root", str(master.root / "nowhere"))
    assert done.returncode == 1
    assert "Run `freehold master init` first." in done.stderr


def test_a_master_without_its_database_says_so_without_a_traceback(master: "Master") -> None:
    done = master.run("check", "--root", str(master.root / "nowhere"))
    assert done.returncode == 1
    assert "freehold master init" in done.stderr
