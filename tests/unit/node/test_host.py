"""Preparing a machine: users, folders and addresses of its own for each partition, safe to repeat and to grow."""

import ipaddress
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.node.errors import HostError, SettingsError
from freehold.node.host import slots
from freehold.node.host.facts import host_facts
from freehold.node.host.slots import _addresses, keep_addresses, prepare
from freehold.node.settings import Paths, Settings, load, save
from freehold.protocol.report import HostPromise

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make users")
tags = some.text("abcdefghijklmnopqrstuvwxyz", min_size=8, max_size=8)


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that every user can pass through; what a node made for root is taken away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="freehold-", dir="/var/tmp"))
    folder.chmod(0o711)
    yield folder
    if Paths(folder).settings.exists() and not load(folder).unprivileged:
        settings = load(folder)
        for user in pwd.getpwall():
            if user.pw_name.startswith(f"fh-{settings.tag}-"):
                run("userdel", user.pw_name)
        for slot in settings.slots:
            run("ip", "address", "del", f"{slot.address}/32", "dev", settings.interface)
    shutil.rmtree(folder)


@given(tags, some.booleans(), some.integers(1, 600))
def test_every_partition_has_an_address_of_its_own_that_growth_does_not_change(
    tag: str, unprivileged: bool, count: int
) -> None:
    settings = Settings(tag, unprivileged)
    addresses = _addresses(settings, count)
    assert len(set(addresses)) == count
    assert _addresses(settings, count + 300)[:count] == addresses
    for text in addresses:
        address = ipaddress.ip_address(text)
        assert address.is_loopback == unprivileged
        assert address.is_private
        assert not text.startswith("127.0."), "those belong to others"
        assert text.rpartition(".")[2] not in ("0", "255")


def test_two_nodes_of_one_machine_do_not_meet() -> None:
    first, second = (set(_addresses(Settings(tag, True), 100)) for tag in ("abcdefgh", "abcdefgi"))
    assert not first & second


def test_a_network_gives_its_addresses_and_no_more(tmp_path: Path) -> None:
    assert _addresses(Settings("abcdefgh", False, network="203.0.113.0/29"), 6)[::5] == ["203.0.113.1", "203.0.113.6"]
    for network, partitions, words in (
        ("203.0.113.0/29", 7, "203.0.113.0/29 has only 6 addresses for 7 partitions"),
        ("203.0.113.1/24", 1, "--network: 203.0.113.1/24 has host bits set"),
        ("moon", 1, "--network"),
    ):
        with pytest.raises(HostError, match=words):
            prepare(tmp_path / "node", partitions, unprivileged=True, network=network)
    assert not Paths(tmp_path / "node").settings.exists(), "what failed can be tried again with other words"


def test_without_root_there_are_folders_and_loopback_addresses(tmp_path: Path) -> None:
    settings = prepare(tmp_path / "node", 3, unprivileged=True)
    assert [slot.name for slot in settings.slots] == ["p0", "p1", "p2"]
    assert {slot.uid for slot in settings.slots} == {None}
    for slot in settings.slots:
        assert (tmp_path / "node" / "partitions" / slot.name).stat().st_mode & 0o777 == 0o700
    assert load(tmp_path / "node") == settings
    assert Paths(tmp_path / "node").settings.stat().st_mode & 0o777 == 0o600


def test_growing_keeps_what_is_there_and_shrinking_is_refused(tmp_path: Path) -> None:
    first = prepare(tmp_path, 2, unprivileged=True)
    (tmp_path / "partitions" / "p0" / "data").write_text("precious")
    again = prepare(tmp_path, 2)
    assert again == first, "it stays the node it was"
    grown = prepare(tmp_path, 5)
    assert (grown.tag, grown.slots[:2], len(grown.slots)) == (first.tag, first.slots, 5)
    assert (tmp_path / "partitions" / "p0" / "data").read_text() == "precious"
    with pytest.raises(HostError, match="has 5 partitions already; it can grow but not shrink to 4"):
        prepare(tmp_path, 4)
    assert load(tmp_path) == grown


def test_a_machine_without_partitions_is_no_node(tmp_path: Path) -> None:
    for partitions in (0, -1):
        with pytest.raises(HostError, match="at least one partition"):
            prepare(tmp_path, partitions, unprivileged=True)


def test_the_machine_tells_what_it_is(tmp_path: Path) -> None:
    own = [HostPromise("clock", True)]
    facts = host_facts(tmp_path, prepare(tmp_path, 2, unprivileged=True), {"users": False}, own)
    assert (facts.protections, facts.promises) == ({"users": False}, own)
    assert [one.name for one in facts.partitions] == ["p0", "p1"]
    assert (facts.cpus, facts.architecture) == (os.cpu_count(), os.uname().machine)
    assert facts.memory_mb > 100
    assert facts.disk_mb > 100
    assert facts.system


@as_root
def test_as_root_each_partition_has_a_user_and_an_address(root: Path) -> None:
    settings = prepare(root, 2)
    uids = [slot.uid for slot in settings.slots]
    assert len(set(uids)) == 2
    assert 0 not in uids
    for number, slot in enumerate(settings.slots):
        folder = (root / "partitions" / slot.name).stat()
        assert (folder.st_uid, folder.st_gid, folder.st_mode & 0o777) == (slot.uid, slot.gid, 0o700)
        assert pwd.getpwnam(f"fh-{settings.tag}-{number}").pw_shell == "/usr/sbin/nologin"
    grown = prepare(root, 3)
    assert grown.slots[:2] == settings.slots

    def present() -> set[str]:
        shown = json.loads(run("ip", "-json", "address", "show", "dev", "lo"))
        return {address["local"] for link in shown for address in link["addr_info"]}

    addresses = {slot.address for slot in grown.slots}
    assert not addresses & present(), "each is in its partition's own network"
    keep_addresses(grown, on_host=True)
    assert addresses <= present(), "where there are no such networks, the machine has them"
    run("ip", "address", "del", f"{grown.slots[1].address}/32", "dev", "lo")
    keep_addresses(grown, on_host=True)
    assert addresses <= present(), "after a reboot they come back"
    keep_addresses(grown, on_host=False)
    assert not addresses & present(), "a machine that was prepared by a former version gives them up"


@as_root
def test_a_folder_that_users_cannot_pass_through_is_refused_before_users_are_made(root: Path) -> None:
    closed = root / "closed"
    closed.mkdir(mode=0o700)
    before = Path("/etc/passwd").read_text().count("fh-")
    with pytest.raises(HostError, match=f"cannot pass through {closed}"):
        prepare(closed / "node", 1)
    assert Path("/etc/passwd").read_text().count("fh-") == before


@as_root
def test_users_of_a_preparation_that_was_killed_are_found_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(slots, "_slot", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(root, 2, network="10.20.30.0/28")
    half = load(root)
    assert half.slots == []
    whole = prepare(root, 2)
    assert (whole.tag, len(whole.slots), whole.network) == (half.tag, 2, "")


@as_root
def test_nobody_can_prepare_a_node_without_root(root: Path) -> None:
    home = root / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "freehold.cli", "node", "prepare", "--root", str(home / "node"), "--partitions", "2"],
        user=65534, group=65534, extra_groups=[], env=environment, cwd="/", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if "Permission denied" in done.stderr and "freehold.cli" in done.stderr:
        pytest.skip("nobody cannot read this repository")
    assert done.returncode == 0, done.stderr
    assert load(home / "node").unprivileged
    assert (home / "node" / "partitions" / "p1").stat().st_uid == 65534
    elsewhere = subprocess.run(
        [sys.executable, "-m", "freehold.cli", "node", "prepare", "--root", "/srv/freehold-not-mine"],
        user=65534, group=65534, extra_groups=[], env=environment, cwd="/", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert elsewhere.returncode == 1
    assert "Choose another --root" in elsewhere.stderr


def test_settings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="freehold node prepare"):
        load(tmp_path)
    for content in (b"", b"{}", b"\xff", b'{"tag": "x'):
        Paths(tmp_path).settings.write_bytes(content)
        with pytest.raises(SettingsError, match=r"node\.json cannot be read"):
            load(tmp_path)


def test_settings_of_the_former_spelling_are_refused_with_the_new_one(tmp_path: Path) -> None:
    """Read as they are, they would be those of a node without partitions."""
    prepare(tmp_path, partitions=2, unprivileged=True)
    former = Paths(tmp_path).settings.read_text().replace('"slots"', '"places"')
    Paths(tmp_path).settings.write_text(former)
    with pytest.raises(SettingsError, match=r"node\.json .*'places'.*'slots'.*Rename"):
        load(tmp_path)
    assert Paths(tmp_path).settings.read_text() == former


def test_settings_are_replaced_whole(tmp_path: Path) -> None:
    first = Settings("abcdefgh", True)
    save(tmp_path, first)
    reader = Paths(tmp_path).settings.open("rb")
    save(tmp_path, Settings("ijklmnop", True))
    assert b"abcdefgh" in reader.read(), "who reads the old one goes on reading the old one"
    reader.close()
    assert load(tmp_path).tag == "ijklmnop"
