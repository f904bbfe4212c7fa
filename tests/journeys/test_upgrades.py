"""A release gets a new version: what goes on running is of the new one, also what only waits for its time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.client.errors import Refused
from freehold.kit.waiting import until
from support.machines import Cloud

PLAN = """
import msgspec
from freehold.release import Context, Job, Plan, Process, Release, Type


class Nothing(msgspec.Struct):
    pass


def plan(parameters: Nothing, context: Context) -> Plan:
    script = context.release / "script.sh"
    return Plan(
        processes=(Process("waits", ("/bin/sleep", "1000000")),),
        jobs=(Job("tick", ("/bin/sh", script), every=2),),
        publication=Nothing(),
    )


release = Release("ticking", "VERSION", "For tests.", {"default": Type("Ticking", Nothing, Nothing, plan)})
"""


def written(folder: Path, version: str) -> Path:
    folder.mkdir()
    (folder / "software.cfg").write_text("[buildout]\nparts =\n")
    (folder / "instance.py").write_text(PLAN.replace("VERSION", version))
    (folder / "script.sh").write_text(f"echo ran {version}\n")
    command = [sys.executable, "-m", "freehold.cli", "software", "schema", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_jobs_go_on_with_the_programs_of_the_new_version(cloud: Cloud, tmp_path: Path) -> None:
    machine = cloud.machine(unprivileged=os.geteuid() != 0, title="upgraded")
    cloud.publish(written(tmp_path / "first", "1.0"))
    shown = cloud.order("ticks", "ticking")
    log = machine.folder(shown["partition"]) / "var" / "log" / "job-tick.log"
    until(lambda: log.exists() and "ran 1.0" in log.read_text(), 30, what="a run of the first version")
    pids = machine.pids("ticks")
    cloud.publish(written(tmp_path / "second", "1.1"))
    cloud.master.request("ticks", "ticking", release="1.1")
    until(lambda: "ran 1.1" in log.read_text(), 60, what="a run of the second version")
    assert cloud.ready("ticks")["promises_kept"]
    assert set(machine.pids("ticks")).isdisjoint(pids), "nothing is left in the walls of the former version"


def test_a_job_is_run_now(cloud: Cloud, tmp_path: Path) -> None:
    machine = cloud.machine(unprivileged=os.geteuid() != 0, title="nightly")
    folder = written(tmp_path / "nightly", "2.0")
    plan = (folder / "instance.py").read_text().replace("every=2", 'daily="03:30"')
    (folder / "instance.py").write_text(plan.replace('"ticking"', '"nightly"'))
    subprocess.run([sys.executable, "-m", "freehold.cli", "software", "schema", str(folder)], check=True)
    cloud.publish(folder)
    shown = cloud.order("night", "nightly", constraints={"node": "nightly"})
    log = machine.folder(shown["partition"]) / "var" / "log" / "job-tick.log"
    pids = machine.pids("night")
    client = cloud.master.client()
    with pytest.raises(Refused, match="has no job 'tack'") as refused:
        client.restart("night", process="job-tack", project="provider")
    assert refused.value.problem.remedy == "There are: tick."
    assert client.restart("night", process="job-tick", token="once", project="provider")
    until(lambda: log.exists() and log.read_text() == "ran 2.0\n", 30, what="a run")
    assert not client.restart("night", process="job-tick", token="once", project="provider")
    assert client.restart("night", process="job-tick", project="provider")
    until(lambda: log.read_text() == "ran 2.0\nran 2.0\n", 30, what="another run")
    assert cloud.ready("night")["promises_kept"]
    assert machine.pids("night") == pids, "nothing was restarted"
