"""`freehold:wheel` with real packages: an environment of its own, and nothing in it that was not locked."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.unit.recipes.conftest import PYTHON, Bench
from zc.buildout import UserError

from freehold.recipes.wheel import Wheel

PROFILE = "[buildout]\nparts = python\n\n" + PYTHON


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def part(folder: Path, **options: str) -> Wheel:
    buildout = {"directory": folder, "parts-directory": folder / "parts", "bin-directory": folder / "bin"}
    return Wheel({"buildout": buildout}, "python", {"recipe": "freehold:wheel", **options})


def refused(folder: Path, **options: str) -> str:
    with pytest.raises(UserError) as error:
        part(folder, **options).install()
    assert not (folder / "parts" / "python").exists()
    assert not (folder / "bin").exists()
    return str(error.value)


def test_a_node_builds_an_environment_that_sees_nothing_of_its_own(bench: Bench) -> None:
    software = bench.node(bench.release("tables", PROFILE))
    table = subprocess.run([software / "bin" / "tabulate"], input="a 1\n", capture_output=True, text=True, check=True)
    assert re.fullmatch(r"-\s+-\na\s+1\n-\s+-\n", table.stdout)
    python = software / "bin" / "python"
    assert run(python, "-c", "import tabulate; print(tabulate.__file__)").stdout.startswith(f"{software}/parts/python/")
    for own in ("freehold", "zc.buildout", "msgspec", "pip"):
        assert f"No module named '{own.split('.')[0]}'" in run(python, "-c", f"import {own}").stderr, own


def test_the_next_build_downloads_nothing(bench: Bench) -> None:
    bench.author(bench.release("first", PROFILE))
    bench.unplug()
    second = bench.release("second", PROFILE)
    bench.author(second)
    assert run(second / "bin" / "python", "-c", "import tabulate").returncode == 0


def test_a_wheel_with_another_hash_is_refused(bench: Bench) -> None:
    folder = bench.release("tables", PROFILE)
    path = folder / "requirements.txt"
    path.write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", path.read_text()))
    said = refused(folder, packages="tabulate")
    assert re.match(r"\[python\] tabulate==\S+: the index's file is not the one of requirements.txt", said)
    assert "freehold software lock" in said


def test_requirements_that_cannot_be_trusted_or_had_are_refused(bench: Bench) -> None:
    folder = bench.release("tables", PROFILE)
    assert "requirements: there is no other.txt beside software.cfg" in refused(folder, requirements="other.txt")
    assert "packages: requirements.txt is for tabulate; run `freehold software lock`" in refused(
        folder, packages="tabulate idna"
    )
    (folder / "other.txt").write_text("tabulate==0.9.0\n")
    assert "not every line of other.txt has a --hash" in refused(folder, requirements="other.txt")
    (folder / "other.txt").write_text(f"tabulate==0.0.0.1 --hash=sha256:{'0' * 64}\n")
    assert "requirements: no index has a wheel of tabulate==0.0.0.1" in refused(folder, requirements="other.txt")


def test_a_command_that_no_package_has_is_told_with_the_nearest(bench: Bench) -> None:
    folder = bench.release("tables", PROFILE)
    with pytest.raises(UserError, match=r"programs: no package has a command 'tabulat'. Did you mean tabulate\?"):
        part(folder, packages="tabulate", programs="tabulat").install()
