"""A node that is stopped says good-bye: everybody knows why it is not heard, and when it is back."""

import time

from freehold.kit.waiting import until
from support.machines import MODES, REPOSITORY, Cloud, Machine


def test_a_stopped_node_is_no_silent_one_and_comes_back(cloud: Cloud) -> None:
    machine = cloud.machine(unprivileged=MODES[0] == "unprivileged", title="ship")
    cloud.publish(REPOSITORY / "software" / "hello")
    cloud.order("page")
    done = machine.cli("stop", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    row = until(lambda: (row := cloud.master.node_row("ship"))["state"] == "stopped" and row)
    assert (row["stopped"], row["last_contact"]) == ("node", row["silent_since"])
    shown = cloud.master.show("page")
    assert (shown["state"], shown["ready"]) == ("unreachable", False)
    assert "Its node was stopped by its operator" in shown["message"]
    machine.start()
    until(lambda: cloud.master.show("page")["ready"], 60)
    assert cloud.master.node_row("ship")["state"] == "open"
    _while_the_master_is_away(cloud, machine)


def _while_the_master_is_away(cloud: Cloud, machine: Machine) -> None:
    cloud.master.stop()
    begun = time.monotonic()
    done = machine.cli("stop", "--keep-services")
    assert done.returncode == 0
    assert "Its Master could not be told and will take it for silent" in done.stderr
    assert time.monotonic() - begun < 60, "nobody waits for a Master that is away"
    cloud.master.start()
    machine.start()
    until(lambda: machine.status()["reports_waiting"] == 0, 60)
    until(lambda: cloud.master.node_row("ship")["state"] == "open")
    assert cloud.master.show("page")["ready"]
