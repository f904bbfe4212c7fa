"""A node's certificate: renewed in time by its owner, and no way in for another's."""

import json
import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from freehold.kit.waiting import page, until
from support.machines import REPOSITORY, Cloud, Machine

WRONG_CLOCK = """
import os, time
_right = time.time
time.time = lambda: _right() + float(os.environ["WRONG_BY"])
"""
"""Read by every Python that starts: its clock is wrong, as that of a machine with an empty battery."""


def test_a_certificate_is_renewed_in_time_and_the_node_goes_on(cloud: Cloud) -> None:
    machine = cloud.machine(unprivileged=os.geteuid() != 0, title="renewed")
    certificate = machine.root / "identity" / "certificate.pem"
    key = (machine.root / "identity" / "key.pem").read_bytes()
    before = certificate.read_bytes()
    machine.kill()
    # As if two thirds of its life were over.
    _age(machine, days=25)
    machine.start()
    until(lambda: certificate.read_bytes() != before, 30)
    assert (machine.root / "identity" / "key.pem").read_bytes() == key
    cloud.publish(REPOSITORY / "software" / "hello")
    shop = cloud.order("after", parameters={"greeting": "renewed"}, constraints={"node": "renewed"})
    assert "renewed" in page(shop["publication"]["url"])


def test_a_node_that_was_away_for_400_days_renews_its_certificate_and_goes_on(cloud: Cloud) -> None:
    machine = cloud.machine(unprivileged=os.geteuid() != 0, title="away")
    machine.kill()
    _age(machine, days=400)
    row = cloud.master.node_row("away")
    cloud.master.sql("UPDATE fleet_certificate SET not_after = 1 WHERE subject = ?", row["id"])
    machine.start()
    cloud.publish(REPOSITORY / "software" / "hello")
    shop = cloud.order("back", parameters={"greeting": "back"}, constraints={"node": "away"})
    assert "back" in page(shop["publication"]["url"])


@pytest.mark.parametrize("days", [-400, 400])
def test_a_machine_whose_clock_is_wrong_by_a_year_works_and_tells_the_right_time(
    cloud: Cloud, tmp_path: Path, days: int
) -> None:
    title = f"clock{days}"
    machine = cloud.machine(unprivileged=os.geteuid() != 0, title=title, start=False)
    (tmp_path / "sitecustomize.py").write_text(WRONG_CLOCK)
    machine.environment = {"PYTHONPATH": str(tmp_path), "WRONG_BY": str(days * 86400)}
    machine.start()
    until(lambda: "clock was wrong by" in machine.log())
    until(lambda: cloud.master.node_row(title)["partitions"] == 4)
    cloud.publish(REPOSITORY / "software" / "hello")
    shop = cloud.order(f"shop{days}", parameters={"greeting": "on time"}, constraints={"node": title})
    assert "on time" in page(shop["publication"]["url"])
    for promise in shop["promises"]:
        assert abs(datetime.fromisoformat(promise["at"]).timestamp() - time.time()) < 60, promise


def _age(machine: Machine, *, days: int) -> None:
    """Have a machine's certificate be so much older than it is."""
    path = machine.root / "node.json"
    settings = json.loads(path.read_text())
    for moment in ("certificate_begins", "certificate_ends"):
        settings[moment] -= days * 86400
    path.write_text(json.dumps(settings))


def test_a_revoked_node_is_told_so_and_its_services_go_on(cloud: Cloud) -> None:
    machine = cloud.machine(unprivileged=os.geteuid() != 0, title="revoked")
    cloud.publish(REPOSITORY / "software" / "hello")
    shop = cloud.order("lasting", parameters={"greeting": "lasting"}, constraints={"node": "revoked"})
    pids = machine.pids("lasting")
    cloud.master.api("POST", "/projects/provider/nodes/revoked/revoke")
    cloud.master.request("lasting", parameters={"greeting": "unheard"}, product="hello")
    until(lambda: "revoked" in machine.log(), 30)
    assert "lasting" in page(shop["publication"]["url"])
    assert machine.pids("lasting") == pids
    token = cloud.master.enrol_token("revoked")
    assert machine.cli("stop", "--keep-services").returncode == 0
    machine.enrol(cloud.master.url, "revoked", token)
    machine.start()
    assert "unheard" in page(cloud.ready("lasting")["publication"]["url"])
