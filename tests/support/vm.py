"""A machine of a kind that is not at hand: Debian in QEMU, with control groups of version 2, quotas, a disk that knows
how it is (SMART), and little memory. Its image is made of packages, once, and kept in a folder of this machine.

It takes root, and the packages that `FREEHOLD_GUESTS=1 ./dev test` installs.
"""

import contextlib
import fcntl
import hashlib
import inspect
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.kit.waiting import until
from freehold.node.software.build import PASSED
from support.machines import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tools"))
import pyz

IMAGES = Path("/var/tmp/freehold-guests")
WANTED = bool(os.environ.get("FREEHOLD_GUESTS"))
PACKAGES = (
    "ca-certificates", "iproute2", "kmod", "nftables", "openssh-server", "openssl", "passwd", "procps", "python3",
    "python3-venv", "smartmontools", "strace", "systemd-sysv", "udev", "util-linux",
)  # fmt: skip
_MODULES = "nvme ext4 quota_v2 virtio_pci virtio_blk virtio_net 9p 9pnet_virtio"
_SIZE = "6G"
_BOOT = 600.0
"""Seconds; an emulated processor is slow."""


@dataclass(frozen=True)
class Kind:
    """A processor, by Debian's name."""

    name: str
    machine: tuple[str, ...]
    """QEMU's program and options for it."""
    console: str
    wheels: tuple[str, ...]
    """What pip calls its platforms."""


def _accelerator() -> str:
    # Some machines show a /dev/kvm that only runs kernels made for it: their processor has no virtualisation.
    flags = set(Path("/proc/cpuinfo").read_text().split())
    return "kvm" if os.access("/dev/kvm", os.W_OK) and flags & {"vmx", "svm"} else "tcg"


X86 = Kind(
    "amd64",
    ("qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-accel", _accelerator()),
    "ttyS0",
    ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64", "manylinux_2_34_x86_64"),
)
ARM = Kind(
    "arm64",
    ("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72", "-accel", "tcg"),
    "ttyAMA0",
    ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "manylinux_2_28_aarch64", "manylinux_2_34_aarch64"),
)


class Guest:
    """A running guest. What it writes is forgotten when it ends."""

    def __init__(self, kind: Kind = X86, memory_mb: int = 512) -> None:
        self.image = image(kind)
        self._folder = Path(tempfile.mkdtemp(prefix="freehold-guest-"))
        self._port = _free_port()
        self._forwards: list[subprocess.Popen[bytes]] = []
        # The repository and its environment, at the places that they have here: scripts name them.
        self.shares = [str(REPOSITORY), str((REPOSITORY / ".venv").resolve())]
        if self.shares[1].startswith(f"{REPOSITORY}/"):
            del self.shares[1]
        command = [
            *kind.machine,
            *("-m", str(memory_mb), "-display", "none", "-no-user-config", "-nodefaults"),
            *("-kernel", f"{self.image}/vmlinuz", "-initrd", f"{self.image}/initrd"),
            *("-append", f"root=/dev/nvme0n1 rw rootflags=usrquota console={kind.console} panic=-1"),
            *("-drive", f"file={self.image}/disk,format=raw,if=none,id=disk,snapshot=on,cache=unsafe"),
            *("-device", "nvme,drive=disk,serial=freehold,id=nvme0"),
            *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self._port}-:22", "-device", "virtio-net-pci,netdev=net"),
            *("-object", "rng-random,filename=/dev/urandom,id=rng", "-device", "virtio-rng-pci,rng=rng"),
            *("-serial", f"file:{self._folder}/console", "-qmp", f"unix:{self._folder}/qmp,server=on,wait=off"),
        ]
        for number, path in enumerate(self.shares):
            command += ["-virtfs", f"local,path={path},mount_tag=share{number},security_model=none,readonly=on"]
        environment = {**os.environ, "TMPDIR": str(IMAGES)}
        self._machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
        try:
            until(self._is_up, _BOOT, "the guest's start")
            for number, path in enumerate(self.shares):
                options = "trans=virtio,version=9p2000.L,ro,cache=loose,msize=1048576"
                self.must(f"mkdir -p {path} && mount -t 9p -o {options} share{number} {path}")
        except BaseException:
            print(self.console()[-4000:], file=sys.stderr)
            self.end()
            raise

    def run(self, command: str, given: str = "", timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        """Run a line of shell as the guest's root, with what tells how to reach package indexes; return its outcome."""
        known = {name: value for name, value in os.environ.items() if name.startswith(PASSED)}
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in known.items())
        line = f"export {words}; {command}" if words else command
        return subprocess.run(
            [*self._ssh(), line], input=given, capture_output=True, text=True, timeout=timeout, check=False
        )

    def must(self, command: str, given: str = "", timeout: float = 300) -> str:
        """Run what must succeed; return what it printed."""
        done = self.run(command, given, timeout)
        assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def give(self, source: Path, target: str) -> None:
        """Copy a file into it."""
        with source.open("rb") as file:
            subprocess.run([*self._ssh(), f"cat > {target}"], stdin=file, check=True, timeout=300)

    def reaches(self, port: int) -> None:
        """Let it reach a port of this machine's 127.0.0.1 at its own."""
        where = f"127.0.0.1:{port}:127.0.0.1:{port}"
        line = [*self._ssh("-N", "-o", "ExitOnForwardFailure=yes", "-R", where)]
        self._forwards.append(subprocess.Popen(line, stdin=subprocess.DEVNULL))

    def qmp(self, verb: str, **arguments: object) -> Any:
        """Have QEMU do something to the machine itself."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self._folder / "qmp"))
            answers = sock.makefile("rw")
            answers.readline()
            for order in ({"execute": "qmp_capabilities"}, {"execute": verb, "arguments": arguments}):
                answers.write(json.dumps(order) + "\n")
                answers.flush()
                while "event" in (answer := json.loads(answers.readline())):
                    pass
                assert "return" in answer, answer
            return answer["return"]

    def console(self) -> str:
        """Return what the guest said while it started."""
        return (self._folder / "console").read_text(errors="replace")

    def end(self) -> None:
        """Switch it off."""
        for one in (*self._forwards, self._machine):
            one.kill()
            one.wait()
        shutil.rmtree(self._folder)

    def _is_up(self) -> bool:
        assert self._machine.poll() is None, "QEMU ended"
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.run("true", timeout=30).returncode == 0
        return False

    def _ssh(self, *options: str) -> list[str]:
        quiet = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
        key = ("-i", f"{self.image}/key", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes")
        return ["ssh", "-F", "/dev/null", *quiet, *key, "-p", str(self._port), *options, "root@127.0.0.1"]


def image(kind: Kind) -> Path:
    """Return the folder with the image of a guest: disk, kernel, initrd, key; made unless it is there."""
    makers = "".join(map(inspect.getsource, (_make, _install)))
    recipe = repr((makers, PACKAGES, _MODULES, _SIZE, _suite(), kind.name, kind.wheels, pyz.needed()))
    folder = IMAGES / f"{kind.name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    IMAGES.mkdir(mode=0o700, exist_ok=True)
    with (IMAGES / f"{kind.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = Path(tempfile.mkdtemp(prefix="making-", dir=IMAGES))
            try:
                _register()
                _make(kind, made, pyz.needed())
                made.rename(folder)
            finally:
                shutil.rmtree(made, ignore_errors=True)
    return folder


def _make(kind: Kind, folder: Path, needed: list[str]) -> None:
    root = folder / "root"
    _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/key")
    hook = 'mkdir -p "$1/etc/initramfs-tools/conf.d"; echo MODULES=list > "$1/etc/initramfs-tools/conf.d/guest"; ' + (
        f'for one in {_MODULES}; do echo $one; done > "$1/etc/initramfs-tools/modules"'
    )
    _do(
        *("mmdebstrap", "--quiet", f"--architectures={kind.name}", "--variant=minbase", "--skip=cleanup/apt/lists"),
        *("--include", ",".join((*PACKAGES, f"linux-image-{kind.name}")), f"--essential-hook={hook}"),
        *("--aptopt=Apt::Install-Recommends false", _suite(), str(root)),
    )
    for path, text in {
        "etc/hostname": "guest\n",
        "etc/fstab": "",
        "etc/systemd/network/all.network": "[Match]\nType=ether\n[Network]\nDHCP=ipv4\n",
        "etc/resolv.conf": "nameserver 10.0.2.3\n",
        "root/.ssh/authorized_keys": (folder / "key.pub").read_text(),
    }.items():
        (root / path).parent.mkdir(mode=0o700, exist_ok=True)
        (root / path).write_text(text)
    # Who looks after this machine's packages may have an authority of their own.
    shutil.copyfile("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs/ca-certificates.crt")
    links = root / "etc/systemd/system/multi-user.target.wants"
    (links / "systemd-networkd.service").symlink_to("/lib/systemd/system/systemd-networkd.service")
    _install(kind, root, needed)
    for name in ("vmlinuz", "initrd.img"):
        (found,) = (root / "boot").glob(f"{name}-*")
        shutil.copyfile(found, folder / name.removesuffix(".img"))
    features = ("-O", "quota", "-E", "quotatype=usrquota")
    _do("mkfs.ext4", "-q", "-F", *features, "-d", str(root), f"{folder}/disk", _SIZE)
    shutil.rmtree(root)


def _register() -> None:
    """Have the kernel run programs of the other processor by emulating it, as an init does where there is one."""
    known = Path("/proc/sys/fs/binfmt_misc")
    if not (known / "register").exists():
        _do("mount", "-t", "binfmt_misc", "none", str(known))
    if not (known / "qemu-aarch64").exists():
        (known / "register").write_text(Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_text())


def _install(kind: Kind, root: Path, needed: list[str]) -> None:
    """Put what the one-file node needs where the guest's Python finds it: compiled for that processor."""
    (python,) = (root / "usr" / "lib").glob("python3.*")
    platforms = [word for name in kind.wheels for word in ("--platform", name)]
    _do(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", *platforms),
        *("--python-version", python.name.removeprefix("python")),
        *("--target", str(root / "usr/local/lib" / python.name / "dist-packages"), *needed),
    )


def _suite() -> str:
    lines = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return lines["VERSION_CODENAME"].strip('"')


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
