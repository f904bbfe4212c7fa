"""Where partitions ask for names: where the machine does, unless only the machine itself can."""

from pathlib import Path

import pytest

from freehold.node.host import resolvers


@pytest.mark.parametrize(
    ("own", "behind", "found"),
    [
        ("nameserver 192.0.2.53\n", "", ["192.0.2.53"]),
        ("nameserver 127.0.0.53\n", "nameserver 192.0.2.53\nnameserver 2001:db8::53\n", ["192.0.2.53", "2001:db8::53"]),
        ("# none\nnameserver\nnameserver router\nnameserver fe80::1%eth0\n", "", ["fe80::1"]),
        ("nameserver 127.0.0.1\n", "", []),
        ("nameserver ::1\n\udcff\n", "nameserver 127.0.0.1\n", []),
    ],
)  # fmt: skip
def test_the_servers_that_are_reached_from_elsewhere_are_found(
    tmp_path: Path, own: str, behind: str, found: list[str]
) -> None:
    (tmp_path / "own").write_bytes(own.encode(errors="surrogateescape"))
    files = (tmp_path / "own", tmp_path / "behind")
    (tmp_path / "behind").write_text(behind)
    assert resolvers.find(files) == found


def test_partitions_search_where_the_machine_does(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("nameserver 127.0.0.53\nsearch example.net\noptions ndots:2\nsortlist 10.0.0.0\n")
    text = resolvers.configuration(["192.0.2.53"], (tmp_path / "own",))
    assert text == "nameserver 192.0.2.53\nsearch example.net\noptions ndots:2\n"
