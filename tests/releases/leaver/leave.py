"""Leaves a process that belongs to nobody, shared memory, and a deep folder into which nobody can look."""

import ctypes
import os
import signal
import sys

FOLDER, WHERE = sys.argv[1:3]


def main():
    if WHERE == "honest":
        signal.pause()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmget(0x7000 + len(WHERE), 4096, 0o1666)
    libc.semget(0x7000 + len(WHERE), 4, 0o1666)
    os.makedirs(f"{FOLDER}/srv/{WHERE}-{os.getpid()}", exist_ok=True)
    here = os.open(f"{FOLDER}/srv/{WHERE}-{os.getpid()}", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deeper", dir_fd=here)
        inner = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.chmod(f"{FOLDER}/srv/{WHERE}-{os.getpid()}", 0)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(3):
                os.close(number)
            os.execve(
                "/usr/bin/python3", ["[kworker/0:1]", "-I", "-S", "-c", "import signal\nwhile True: signal.pause()"], {}
            )
        os._exit(0)
    if WHERE == "service":
        while True:
            signal.pause()


main()
