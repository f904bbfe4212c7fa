"""A node looks after itself: it says what is wrong and what mends it, tidies up, and tells no secrets."""

import json
import tarfile
from pathlib import Path

import pytest

from freehold.kit.waiting import until
from support.machines import REPOSITORY, Cloud, Machine

SECRET = "do not tell anybody"


@pytest.fixture(scope="module")
def machine(cloud: Cloud) -> Machine:
    machine = cloud.machine(unprivileged=True, partitions=2, title="own")
    cloud.publish(REPOSITORY / "software" / "hello")
    cloud.order("page", parameters={"greeting": SECRET})
    return machine


def finding(machine: Machine, name: str) -> dict[str, object]:
    found = json.loads(machine.cli("doctor", "--json").stdout)
    return dict(next(one for one in found if one["name"] == name))


def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(machine: Machine) -> None:
    assert finding(machine, "Master")["well"]
    assert finding(machine, "agent")["well"]
    identity = machine.root / "identity"
    identity.chmod(0o755)
    wrong = finding(machine, "permissions")
    assert not wrong["well"]
    assert f"chmod -R go= {identity}" in str(wrong["remedy"])
    shown = machine.cli("doctor")
    assert (shown.returncode, "WRONG  permissions" in shown.stdout) == (1, True)
    identity.chmod(0o700)
    assert finding(machine, "permissions")["well"]


def test_the_doctor_weighs_what_protects_this_machine(machine: Machine) -> None:
    """Without root partitions share one user: that much is said to be missing, and weighed."""
    shown = finding(machine, "exposure")
    protections = {one["name"]: one for one in shown["protections"]}  # type: ignore[attr-defined]
    missing = {name for name, one in protections.items() if not one["holds"]}
    assert {"users", "network"} <= missing
    assert "disk" not in missing, "the agent runs, and watches it"
    number = float(str(shown["message"]).split()[0])
    assert 0 < number < 10
    words = machine.cli("doctor").stdout
    assert f"Exposure {number} of 10.0" in words
    assert str(protections["users"]["exposes"]) in words


def test_the_machines_own_promises_are_seen_at_the_master(cloud: Cloud, machine: Machine) -> None:
    def told() -> bool:
        return {"disk", "memory", "clock", "certificate"} <= {
            one["name"] for one in cloud.master.node_row("own")["promises"]
        }

    until(told, 30)
    assert "the Master's" in str(finding(machine, "clock")["message"]), "what the Master said is known to every process"
    assert "disk: kept" in machine.cli("status").stdout


def test_a_bundle_helps_and_tells_no_secret(cloud: Cloud, machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar.gz"
    assert machine.cli("bundle", str(file)).returncode == 0
    with tarfile.open(file) as packed:
        texts = {one.name: packed.extractfile(one).read().decode() for one in packed.getmembers()}  # type: ignore[union-attr]
    everything = "\n".join(texts.values())
    assert cloud.master.show("page")["id"] in everything
    key = (machine.root / "identity" / "key.pem").read_text().splitlines()[1]
    seeds = [path.read_text() for path in (machine.root / "partitions").glob("*/.freehold/seed")]
    assert seeds
    for secret in (SECRET, key, *seeds):
        assert secret not in everything
    assert file.stat().st_mode & 0o077 == 0
    assert machine.cli("bundle", str(file)).returncode == 1, "nothing is written over"


def test_what_nothing_needs_is_removed_and_nothing_else(machine: Machine) -> None:
    stray = machine.root / "software" / ("0" * 64)
    stray.mkdir()
    (stray / "file").touch()
    download = machine.root / "cache" / f"{'0' * 64}.tar.gz"
    download.touch()
    others = sorted(path.name for path in (machine.root / "software").iterdir() if path != stray)
    assert str(stray) in machine.cli("tidy", "--dry-run").stdout
    assert machine.cli("tidy").returncode == 1, "nobody can be asked"
    assert stray.exists()
    assert machine.cli("tidy", "--yes").returncode == 0
    assert not stray.exists()
    assert not download.exists()
    assert sorted(path.name for path in (machine.root / "software").iterdir()) == others
    assert machine.pids("page")


def test_a_machine_is_made_as_new_and_enrolled_again(cloud: Cloud, machine: Machine) -> None:
    folder = machine.folder(cloud.master.show("page")["partition"])
    said = machine.cli("reinstall", "--dry-run").stdout
    assert str(folder) in said
    assert machine.pids("page")
    assert machine.cli("reinstall").returncode == 1, "nobody can be asked"
    assert machine.cli("reinstall", "--yes").returncode == 0
    machine.kill()
    assert list(folder.iterdir()) == []
    assert not (machine.root / "identity" / "key.pem").exists()
    assert "not enrolled yet" in machine.cli("run").stderr
    machine.enrol(cloud.master.url, "own", cloud.master.enrol_token("own"))
    machine.start()
    assert cloud.ready("page"), "under the same title it keeps its instances"
