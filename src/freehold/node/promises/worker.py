"""A worker: runs in a child of the fork server as a partition's user, and checks what it is told to.

Orders and answers are JSON lines: `{"id": 1, "path": "/…/etc/plugin/page.py", "timeout": 20}` in,
`{"id": 1, "kept": true, "message": "…", "period": 60, "timeout": 10}` out, in the order they end.
"""

import json
import math
import os
import socket
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from freehold.escaping import encodable
from freehold.promises import Command, Promise, slapos
from freehold.promises.slapos import GenericPromise
from freehold.protocol import MAX_MESSAGE

THREADS = 64
"""Checks wait more than they work, and one that hangs must not have others wait behind it."""
EXECUTABLE_PERIOD = 60.0
EXECUTABLE_TIMEOUT = 20.0

_loaded: dict[str, tuple[tuple[int, int, int], Promise | GenericPromise]] = {}
_loading = threading.Lock()


def serve(sock: socket.socket) -> None:
    """Check until the other end closes."""
    sending = threading.Lock()

    def check(order: dict[str, Any]) -> None:
        answer = json.dumps({"id": order["id"], **assess(order["path"], was_kept=order["was_kept"])}).encode() + b"\n"
        try:
            with sending:
                sock.sendall(answer)
        except OSError:
            os._exit(0)

    with ThreadPoolExecutor(THREADS) as threads, sock.makefile("rb") as orders:
        for line in orders:
            threads.submit(check, json.loads(line))
        # A check that hangs must not keep the worker alive.
        os._exit(0)


def assess(path: str, *, was_kept: bool = False) -> dict[str, Any]:
    """Return the result of one promise, whatever it does, with its own period and timeout.

    `was_kept`: it was kept since the last configuration, so this is no longer about the deployment.
    """
    bang = False
    period, timeout = EXECUTABLE_PERIOD, EXECUTABLE_TIMEOUT
    try:
        promise = _load(path)
        if isinstance(promise, GenericPromise):
            period, timeout = float(promise.getPeriodicity()) * 60, float(promise.getPromiseTimeout())
            assessment, bang = promise.assess(was_kept=was_kept)
        else:
            period, timeout = float(promise.period), float(promise.timeout)
            assessment = promise.check()
        kept, message = bool(assessment.kept), str(assessment.message)
    except BaseException as error:
        # Also one that exits: whatever it does, it has a result.
        kept, bang, message = False, False, _words_of(error)
    if not (math.isfinite(period) and math.isfinite(timeout)):
        kept, message = False, f"Its period and timeout must be numbers of seconds, not {period} and {timeout}."
        period, timeout = EXECUTABLE_PERIOD, EXECUTABLE_TIMEOUT
    # What is not UTF-8 (the name of a file, what a program printed) is shown by its bytes.
    answer: dict[str, Any] = {"kept": kept, "message": encodable(message[-MAX_MESSAGE:])[-MAX_MESSAGE:]}
    answer |= {"period": max(1.0, period), "timeout": timeout}
    return answer | ({"bang": True} if bang is True else {})


def _words_of(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__}, which cannot be shown."


def _load(path: str) -> Promise | GenericPromise:
    """Return the promise of a plug-in file (loaded again when it changed) or of an executable."""
    status = os.stat(path)
    version = (status.st_mtime_ns, status.st_size, status.st_ino)
    with _loading:
        known = _loaded.get(path)
        if known is not None and known[0] == version:
            return known[1]
        promise = _read(path)
        _loaded[path] = (version, promise)
        return promise


def _read(path: str) -> Promise | GenericPromise:
    if not path.endswith(".py"):
        # FOLDER/etc/promise/NAME
        folder = str(Path(path).parents[2])
        return Command((path,), period=EXECUTABLE_PERIOD, timeout=EXECUTABLE_TIMEOUT, folder=folder)
    module = types.ModuleType("promise_plugin")
    module.__file__ = path
    sys.modules[f"promise_plugin_{path}"] = module
    slapos.install()
    exec(compile(Path(path).read_bytes(), path, "exec"), module.__dict__)
    kind: Any = getattr(module, "RunPromise", None)
    if kind is not None:
        return _slapos(kind, path, getattr(module, "extra_config_dict", {}))
    promise: Promise | None = getattr(module, "promise", None)
    if promise is None:
        raise ValueError(f"{path} defines neither `promise` nor `RunPromise`")
    return promise


def _slapos(kind: Any, path: str, extra: dict[str, Any]) -> GenericPromise:
    """Return a plug-in for SlapOS, made with the configuration that slapos.core gives."""
    file = Path(path)
    folder = file.parents[2]
    promise: GenericPromise = kind(
        {
            **extra,
            "name": file.name,
            "path": path,
            "partition-folder": str(folder),
            "log-folder": str(folder / "var" / "log"),
            "promise-timeout": extra.get("promise-timeout", EXECUTABLE_TIMEOUT),
        }
    )
    return promise
