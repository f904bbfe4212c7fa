"""What a hostile partition tries. Each attempt returns what it got; an exception is what it should get."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

FOLDER = sys.argv[1]
TARGET = {}


def nothing():
    return "nothing"


def read():
    with open(TARGET["path"], "rb") as file:
        return repr(file.read(200))


def write():
    with open(TARGET["path"], "ab") as file:
        file.write(b"pwned")
    return "written"


def look_around():
    """The folders in which neighbours would be seen."""
    return {path: sorted(os.listdir(path)) for path in json.loads(TARGET["folders"])}


def processes():
    """Every process of another, with its environment."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and os.stat(f"/proc/{entry}").st_uid != os.getuid():
            with open(f"/proc/{entry}/environ", "rb") as file:
                found.append(repr(file.read(200)))
    return found


def environment():
    with open(f"/proc/{TARGET['pid']}/environ", "rb") as file:
        return repr(file.read(200))


def kill():
    os.kill(int(TARGET["pid"]), signal.SIGKILL)
    return "killed"


LISTENING = []


def listen():
    LISTENING.append(socket.create_server((TARGET["address"], int(TARGET["port"]))))
    return "listening"


def connect():
    with socket.create_connection((TARGET["address"], int(TARGET["port"])), 5):
        return "connected"


def forks():
    children = []
    try:
        while len(children) < 5000:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
        return f"{len(children)} processes"
    except OSError as error:
        return f"refused after {len(children)}: {error}"
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def memory():
    pid = os.fork()
    if pid == 0:
        hoard = []
        while len(hoard) < 3000:
            hoard.append(bytearray(b"x") * (1 << 20))
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return "had it all" if status == 0 else f"killed by signal {os.WTERMSIG(status)}"


def disk():
    block = os.urandom(1 << 20)
    with open(f"{FOLDER}/srv/much", "ab") as file:
        for _ in range(2000):
            file.write(block)
            time.sleep(0.002)
    return "written"


def files():
    for number in range(100_000):
        folder = f"{FOLDER}/srv/many/{number // 1000}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{number}", "w"):
            pass
    return "made"


def setuid():
    """Become root: by asking, and by a program of root's that has the bit."""
    with contextlib.suppress(OSError):
        os.setuid(0)
        return "root by asking"
    done = subprocess.run([TARGET["path"], "-u"], capture_output=True, text=True, check=True)
    return "root by a program" if done.stdout.strip() == "0" else f"user {done.stdout.strip()}"


def mount():
    done = subprocess.run(["/bin/mount", "-t", "tmpfs", "tmpfs", FOLDER], capture_output=True, text=True, check=False)
    unshared = subprocess.run(["/usr/bin/unshare", "-rm", "/bin/mount", "-t", "tmpfs", "tmpfs", FOLDER], check=False)
    return f"mount {done.returncode}, in a namespace {unshared.returncode}"


def main():
    with open(f"{FOLDER}/etc/order.json") as file:
        name, target = json.load(file)
    TARGET.update(target)
    try:
        result = {"attempt": name, "got": globals()[name]()}
    except Exception as error:
        result = {"attempt": name, "error": f"{type(error).__name__}: {error}"}
    with open(f"{FOLDER}/srv/result.new", "w") as file:
        json.dump(result, file)
    os.replace(f"{FOLDER}/srv/result.new", f"{FOLDER}/srv/result.json")
    while True:
        signal.pause()


main()
