"""Promise plug-ins written for SlapOS, run as they are: `RunPromise(GenericPromise)`.

Such a file imports `slapos.grid.promise.generic`; where a worker runs it, that is this module. Names, defaults and what
they mean follow slapos.core 1.26: `sense` looks and logs; `test` (until the promise was first kept) and `anomaly` (from
then on) judge by the last results; a result is a failure when `sense` logged an error or raised.
"""

import importlib
import json
import logging
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from freehold.promises.base import Assessment

HISTORY = 100
"""Results remembered for each promise."""
_MODULE = "slapos.grid.promise"


class PromiseError(Exception):
    """Raised where slapos.core raises it."""


class BaseResult:
    """What `test` and `anomaly` return."""

    def __init__(self, problem: bool = False, message: str | None = None, date: float | None = None) -> None:
        self._problem, self._message, self._date = problem, message or "", date or time.time()

    type: str | None = None

    def hasFailed(self) -> bool:
        return self._problem

    @property
    def message(self) -> str:
        return self._message

    @property
    def date(self) -> float:
        return self._date


class TestResult(BaseResult):
    type = "Test Result"


class AnomalyResult(BaseResult):
    type = "Anomaly Result"


class GenericPromise:
    """The base of plug-ins."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.__config = dict(config)
        self.__name = str(config.get("name", "promise"))
        self.__title = os.path.splitext(self.__name)[0]
        self.__periodicity = float(config.get("periodicity", 2))
        self.__timeout = float(config.get("promise-timeout", 20))
        self.__is_tested = self.__is_anomaly_detected = True
        self.__history = Path(self.getPartitionFolder() or ".") / ".freehold" / "promises" / f"{self.__name}.json"
        self.logger = logging.getLogger(f"promise.{self.__name}.{id(self)}")
        self.logger.setLevel(logging.DEBUG)
        self.logger.propagate = False
        self.__said = _Said()
        self.logger.addHandler(self.__said)

    # What plug-ins define

    def sense(self) -> None:
        """Look, and log what is found: an error is a failure."""
        raise NotImplementedError

    def test(self) -> BaseResult:
        return self._test()

    def anomaly(self) -> BaseResult:
        return self._anomaly()

    # What plug-ins ask

    def getConfig(self, key: str, default: Any = None) -> Any:
        return self.__config.get(key, default)

    def setConfig(self, key: str, value: Any) -> None:
        self.__config[key] = value

    def getName(self) -> str:
        return self.__name

    def getTitle(self) -> str:
        return self.__title

    def getPartitionFolder(self) -> str:
        return str(self.__config.get("partition-folder", ""))

    def getPromiseFile(self) -> str:
        return str(self.__config.get("path", ""))

    def getLogFolder(self) -> str:
        return str(self.__config.get("log-folder", ""))

    def getLogFile(self) -> str:
        return os.path.join(self.getLogFolder(), f"{self.__title}.log")

    def getPeriodicity(self) -> float:
        """Return the minutes between checks."""
        return self.__periodicity

    def setPeriodicity(self, minute: float) -> None:
        if minute <= 0:
            raise ValueError("Cannot set promise periodicity to a value less than 1")
        self.__periodicity = float(minute)

    def getPromiseTimeout(self) -> float:
        return self.__timeout

    def isTested(self) -> bool:
        return self.__is_tested

    def isAnomalyDetected(self) -> bool:
        return self.__is_anomaly_detected

    def setTestLess(self) -> None:
        """Hold up no deployment: only an anomaly is looked for."""
        if not self.__is_anomaly_detected:
            raise ValueError("Anomaly and Test cannot be both disabled")
        self.__is_tested = False

    def setAnomalyLess(self) -> None:
        """Only hold up the deployment."""
        if not self.__is_tested:
            raise ValueError("Anomaly and Test cannot be both disabled")
        self.__is_anomaly_detected = False

    def getLastPromiseResultList(
        self, result_count: int = 1, only_failure: bool = False, latest_minute: float = 0
    ) -> list[list[dict[str, Any]]]:
        """Return the last results, the newest first, each a list of `{date, status, message}`."""
        rows = [
            [{"date": row["date"], "status": "ERROR" if row["failed"] else "INFO", "message": row["message"]}]
            for row in reversed(self._results())
            if (row["failed"] or not only_failure)
            and (not latest_minute or time.time() - row["date"] <= latest_minute * 60)
        ]
        return rows[:result_count]

    # What judges

    def _test(self, result_count: int = 1, failure_amount: int = 1, latest_minute: float = 0) -> TestResult:
        """Fail when at least so many of the last results are failures."""
        return TestResult(*self.__judge(result_count, failure_amount, latest_minute))

    def _anomaly(self, result_count: int = 1, failure_amount: int = 1, latest_minute: float = 0) -> AnomalyResult:
        return AnomalyResult(*self.__judge(result_count, failure_amount, latest_minute))

    def __judge(self, result_count: int, failure_amount: int, latest_minute: float) -> tuple[bool, str]:
        results = self.getLastPromiseResultList(result_count, latest_minute=latest_minute)
        failures = [row[0] for row in results if row[0]["status"] == "ERROR"]
        problem = bool(failures) and len(failures) >= failure_amount
        return problem, str(
            failures[0]["message"] if problem else results[0][0]["message"] if results else "No result found!"
        )

    # What the worker calls

    def assess(self, *, was_kept: bool) -> tuple[Assessment, bool]:
        """Sense and judge; return the result, and whether the node should look at the instance again (bang)."""
        self.__said.lines.clear()
        self.__said.failed = False
        try:
            self.sense()
        except Exception as error:
            self.logger.error("%s: %s", type(error).__name__, error)
        self._remember(self.__said.failed, "\n".join(self.__said.lines))
        if was_kept:
            if not self.isAnomalyDetected():
                return Assessment(True, "It is not looked at after the deployment."), False
            result = self.anomaly()
        else:
            if not self.isTested():
                return Assessment(True, "It does not hold up the deployment."), False
            result = self.test()
        failed = result.hasFailed()
        return Assessment(not failed, result.message), failed and was_kept and isinstance(result, AnomalyResult)

    def _results(self) -> list[dict[str, Any]]:
        try:
            rows: list[dict[str, Any]] = json.loads(self.__history.read_text())
        except (OSError, ValueError):
            return []
        return rows

    def _remember(self, failed: bool, message: str) -> None:
        rows = [*self._results(), {"date": time.time(), "failed": failed, "message": message[-2000:]}][-HISTORY:]
        self.__history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.__history.with_suffix(".new")
        new.write_text(json.dumps(rows))
        os.replace(new, self.__history)


class _Said(logging.Handler):
    """What `sense` logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.failed = False

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.failed |= record.levelno >= logging.ERROR


def install() -> None:
    """Have `slapos.grid.promise` be this module, and `zope.interface` there, for plug-ins that this process loads."""
    package = types.ModuleType(_MODULE)
    interface = types.ModuleType(f"{_MODULE}.interface")
    interface.__dict__["IPromise"] = type("IPromise", (), {})
    package.__dict__.update(interface=interface, generic=sys.modules[__name__], PromiseError=PromiseError)
    sys.modules.setdefault(_MODULE, package)
    sys.modules.setdefault(f"{_MODULE}.interface", interface)
    sys.modules.setdefault(f"{_MODULE}.generic", sys.modules[__name__])
    try:
        importlib.import_module("zope.interface")
    except ImportError:
        module = types.ModuleType("zope.interface")
        module.__dict__.update(implementer=_implementer, Interface=type("Interface", (), {}))
        sys.modules["zope.interface"] = module


def _implementer(*_: object) -> Callable[[type], type]:
    return lambda kind: kind
