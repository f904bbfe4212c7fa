"""A node's certificate: renewed in time by its owner, and no way in for another's."""

import json
import os

from freehold.kit.waiting import until
from machines import REPOSITORY, Cloud, page


def test_a_certificate_is_renewed_in_time_and_the_node_goes_on(cloud: Cloud) -> None:
    machine = cloud.machine(unprivileged=os.geteuid() != 0, title="renewed")
    certificate = machine.root / "identity" / "certificate.pem"
    key = (machine.root / "identity" / "key.pem").read_bytes()
    before = certificate.read_bytes()
    machine.kill()
    settings = json.loads((machine.root / "node.json").read_text())
    # As if two thirds of its life were over.
    for moment in ("certificate_begins", "certificate_ends"):
        settings[moment] -= 25 * 86400
    (machine.root / "node.json").write_text(json.dumps(settings))
    machine.start()
    until(lambda: certificate.read_bytes() != before, 30)
    assert (machine.root / "identity" / "key.pem").read_bytes() == key
    cloud.publish(REPOSITORY / "software" / "hello")
    shop = cloud.order("after", parameters={"greeting": "renewed"}, constraints={"node": "renewed"}, seconds=120)
    assert "renewed" in page(shop["publication"]["url"])


def test_a_revoked_node_is_told_so_and_its_services_go_on(cloud: Cloud) -> None:
    machine = cloud.machine(unprivileged=os.geteuid() != 0, title="revoked")
    cloud.publish(REPOSITORY / "software" / "hello")
    shop = cloud.order("lasting", parameters={"greeting": "lasting"}, constraints={"node": "revoked"}, seconds=120)
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
