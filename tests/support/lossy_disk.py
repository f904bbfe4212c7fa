"""A disk that loses its power: what was written and not flushed is lost, in part and in any order.

    python tests/support/lossy_disk.py IMAGE FOLDER

serves the file IMAGE as FOLDER/disk, by the kernel's FUSE protocol, to be mounted as a loop device. Writes stay in
memory until a flush. A line `cut STEPS SEED` on standard input has the power fail at the write or flush after so many
more of them: of each block the image then holds what it held at the last flush or any version written since, as the
seed chooses, and nothing can be read or written any more.
"""

import ctypes
import errno
import os
import random
import select
import stat
import struct
import sys
from pathlib import Path
from typing import Any

BLOCK = 4096
LARGEST = 128 * 1024
ROOT, DISK = 1, 2
NAME = "disk"
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC = 1, 2, 3, 4, 14, 15, 16, 17, 18, 20
FLUSH, INIT, INTERRUPT, DESTROY, BATCH_FORGET = 25, 26, 36, 38, 42
_BIG_WRITES = 1 << 5


class Disk:
    """The image, with what is written and not flushed."""

    def __init__(self, image: Path) -> None:
        self._image = os.open(image, os.O_RDWR)
        self.size = os.fstat(self._image).st_size
        self._pending: dict[int, list[bytes]] = {}
        """Versions of a block since the last flush, oldest first, by its number."""
        self._left: int | None = None
        self._seed = 0
        self.off = False
        """It has no power any more."""

    def read(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self.size)
        blocks = b"".join(self._block(number) for number in range(offset // BLOCK, -(-end // BLOCK)))
        return blocks[offset % BLOCK :][: max(0, end - offset)]

    def write(self, offset: int, data: bytes) -> None:
        self._step()
        while data:
            number, begin = divmod(offset, BLOCK)
            part = data[: BLOCK - begin]
            before = self._block(number)
            self._pending.setdefault(number, []).append(before[:begin] + part + before[begin + len(part) :])
            offset, data = offset + len(part), data[len(part) :]

    def flush(self) -> None:
        self._step()
        for number, versions in self._pending.items():
            os.pwrite(self._image, versions[-1], number * BLOCK)
        self._pending.clear()

    def cut_after(self, steps: int, seed: int) -> None:
        self._left, self._seed = steps, seed
        if not steps:
            self._cut()

    def _step(self) -> None:
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            self._cut()
            raise OSError(errno.EIO, "no power")

    def _cut(self) -> None:
        if self.off:
            return
        chance = random.Random(self._seed)
        for number, versions in sorted(self._pending.items()):
            kept = chance.randrange(len(versions) + 1)
            if kept:
                os.pwrite(self._image, versions[kept - 1], number * BLOCK)
        self._pending.clear()
        self.off = True

    def _block(self, number: int) -> bytes:
        if number in self._pending:
            return self._pending[number][-1]
        return os.pread(self._image, BLOCK, number * BLOCK).ljust(BLOCK, b"\0")


class Server:
    """A file system of one file."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._orders = open(0, "rb", buffering=0)  # noqa: SIM115
        self._device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"powerless", os.fsencode(folder), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "cannot be mounted", str(folder))

    def serve(self) -> None:
        """Answer until it is unmounted."""
        while True:
            asking: list[Any] = [self._device, self._orders]
            ready, _, _ = select.select(asking, [], [])
            if self._orders in ready:
                words = self._orders.readline().split()
                if not words:
                    return
                self._disk.cut_after(int(words[1]), int(words[2]))
            if self._device in ready:
                try:
                    request = os.read(self._device, LARGEST + 2 * BLOCK)
                except OSError as error:
                    if error.errno == errno.ENODEV:
                        return
                    raise
                self._answer(request)

    def _answer(self, request: bytes) -> None:
        _, verb, unique, node = struct.unpack_from("<IIQQ", request)
        if verb in (FORGET, BATCH_FORGET, INTERRUPT):
            return
        failed, content = 0, b""
        try:
            content = self._do(verb, node, request[40:])
        except OSError as error:
            failed = error.errno or errno.EIO
        os.write(self._device, struct.pack("<IiQ", 16 + len(content), -failed, unique) + content)

    def _do(self, verb: int, node: int, body: bytes) -> bytes:
        match verb:
            case _ if verb == INIT:
                return struct.pack("<IIIIHHII32x", 7, 31, LARGEST, _BIG_WRITES, 16, 12, LARGEST, 1)
            case _ if verb == LOOKUP:
                if body.rstrip(b"\0") != NAME.encode():
                    raise OSError(errno.ENOENT, "no such file")
                return struct.pack("<QQQQII", DISK, 0, 3600, 3600, 0, 0) + self._attributes(DISK)
            case _ if verb in (GETATTR, SETATTR):
                return struct.pack("<QII", 3600, 0, 0) + self._attributes(node)
            case _ if verb == OPEN:
                return struct.pack("<QII", 1, 0, 0)
            case _ if verb == STATFS:
                return struct.pack("<QQQQQIIII24x", 0, 0, 0, 0, 0, BLOCK, 255, BLOCK, 0)
            case _ if verb in (RELEASE, FLUSH, DESTROY):
                return b""
        if verb not in (READ, WRITE, FSYNC):
            raise OSError(errno.ENOSYS, "not needed")
        if self._disk.off:
            raise OSError(errno.EIO, "no power")
        if verb == FSYNC:
            self._disk.flush()
            return b""
        offset, size = struct.unpack_from("<QI", body, 8)
        if verb == READ:
            return self._disk.read(offset, size)
        self._disk.write(offset, body[40 : 40 + size])
        return struct.pack("<II", size, 0)

    def _attributes(self, node: int) -> bytes:
        mode, size = (stat.S_IFDIR | 0o755, 0) if node == ROOT else (stat.S_IFREG | 0o600, self._disk.size)
        return struct.pack("<QQQQQQIIIIIIIIII", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, BLOCK, 0)


if __name__ == "__main__":
    Server(Disk(Path(sys.argv[1])), Path(sys.argv[2])).serve()
