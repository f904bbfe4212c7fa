"""A plugin of pytest: `--within=SECONDS` begins no further test after so long, and names the files that were left."""

import time
from pathlib import Path

import pytest

_began = time.monotonic()
_left: list[Path] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--within", type=float, default=float("inf"), help="seconds after which no test is begun")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.monotonic() - _began > item.config.getoption("--within"):
        if item.path not in _left:
            _left.append(item.path)
        pytest.skip("there was no time for it")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _left:
        root = terminalreporter.config.rootpath
        names = " ".join(str(path.relative_to(root)) for path in _left)
        terminalreporter.write_line(f"Not run, or not wholly, for want of time: ./dev test {names}")
