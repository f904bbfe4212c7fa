"""Containers for tests: made as the node makes them, and programs that run inside as a partition's user."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from freehold.node.isolation import cgroups, container, firewall, sandbox
from freehold.node.isolation.firewall import FirewallNetwork, FirewallRule, Surroundings
from freehold.node.settings import Limits


@dataclass(frozen=True)
class Inside:
    """A partition's container with a network of its own."""

    tag: str
    partition: str
    address: str
    uid: int
    init: str

    @property
    def host_end(self) -> str:
        return f"fh{self.tag}{self.partition[1:]}"

    def start(self, program: str, *, as_root: bool = False) -> "subprocess.Popen[str]":
        """Start a Python program inside, as the partition's user."""
        entering = (
            "import os, sys\nfrom freehold.node.isolation import sandbox\n"
            f"entrance = sandbox.Entrance({{**sandbox.NONE, 'init': {self.init!r}, 'network': True}})\n"
            "pid = entrance.fork()\n"
            "if pid: sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
            "entrance.join()\n" + ("" if as_root else f"os.setgid({self.uid}); os.setuid({self.uid})\n")
            + "os.execv('/usr/bin/python3', ['python3', '-I', '-S', '-c', sys.argv[1]])\n"
        )  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-c", entering, program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, program: str, *, as_root: bool = False) -> str:
        """Run a program to its end and return what it printed."""
        return self.start(program, as_root=as_root).communicate(timeout=30)[0].strip()

    @contextmanager
    def running(self, program: str) -> Iterator[None]:
        """Have a program run that prints a line once it is ready."""
        with self.start(program) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline()
                yield
            finally:
                process.kill()

    def admit(
        self, network: FirewallNetwork | None, around: Surroundings | None = None, *, peers: Sequence[str] = ()
    ) -> None:
        rule = FirewallRule(self.partition, self.address, self.host_end, network, list(peers))
        firewall.admit(self.tag, [rule], around or Surroundings())


@contextmanager
def containers(tag: str, addresses: dict[str, str], **more: object) -> Iterator[list[Inside]]:
    """Make containers of partitions with these addresses, and leave nothing of them."""
    made = []
    try:
        for number, (partition, address) in enumerate(addresses.items()):
            init = cgroups.create(f"{tag}/{partition}", Limits(memory_mb=256)).init
            one = Inside(tag, partition, address, 62000 + number, init)
            order = container.ContainerOrder(init, address, one.host_end, **more)  # type: ignore[arg-type]
            container.make(msgspec.json.encode(order))
            made.append(one)
        yield made
    finally:
        cgroups.remove_node(tag)
        for one in made:
            container.remove_link(one.host_end)
        firewall.remove(tag)


def server(address: str, port: int, *, says: str = "hello") -> str:
    """Return a program that answers whoever connects with the client's address and some words."""
    family = "socket.AF_INET6" if ":" in address else "socket.AF_INET"
    return (
        "import socket\n"
        f"with socket.create_server(({address!r}, {port}), family={family}) as server:\n"
        "    print('ready', flush=True)\n"
        "    while True:\n"
        "        client, where = server.accept()\n"
        f"        client.sendall((where[0] + ' ' + {says!r}).encode())\n"
        "        client.close()\n"
    )


def client(address: str, port: int) -> str:
    """Return a program that connects and prints what it hears, or its error."""
    return (
        "import socket\n"
        "try:\n"
        f"    with socket.create_connection(({address!r}, {port}), 2) as sock: print(sock.recv(100).decode())\n"
        "except OSError as error: print(type(error).__name__)\n"
    )


needs_containers = (
    os.geteuid() == 0 and sandbox.landlock_version() >= 0 and bool(cgroups.tracking("x")) and firewall.works()
)
