"""Plug-ins written for SlapOS run as they are: this is the text of such files, with what they import."""

import time
from pathlib import Path
from typing import Any

import pytest

from freehold.node.promises.worker import assess

PLUGIN = """
from zope.interface import implementer
from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise

import os

@implementer(interface.IPromise)
class RunPromise(GenericPromise):

  def __init__(self, config):
    super(RunPromise, self).__init__(config)
    self.setPeriodicity(minute=float(self.getConfig('frequency', 3)))
    if self.getConfig('only') == 'test': self.setAnomalyLess()
    if self.getConfig('only') == 'anomaly': self.setTestLess()

  def sense(self):
    path = os.path.join(self.getPartitionFolder(), 'there')
    if os.path.exists(path):
      self.logger.info("%s is there", self.getTitle())
    else:
      self.logger.error("%s is not there", self.getTitle())

  def anomaly(self):
    return self._anomaly(result_count=int(self.getConfig('count', 3)), failure_amount=int(self.getConfig('amount', 2)))

extra_config_dict = """


class Plugin:
    def __init__(self, folder: Path, **config: str) -> None:
        self.folder = folder
        self.path = folder / "etc" / "plugin" / "watch.py"
        self.path.parent.mkdir(parents=True)
        self.path.write_text(PLUGIN + repr(config) + "\n")

    def there(self, is_there: bool) -> None:
        if is_there:
            (self.folder / "there").touch()
        else:
            (self.folder / "there").unlink(missing_ok=True)

    def check(self, *, was_kept: bool) -> Any:
        return assess(str(self.path), was_kept=was_kept)


def test_a_deployment_waits_for_the_test(tmp_path: Path) -> None:
    plugin = Plugin(tmp_path, frequency="5")
    found = plugin.check(was_kept=False)
    assert found == {"kept": False, "message": "watch is not there", "period": 300, "timeout": 20}
    plugin.there(True)
    assert plugin.check(was_kept=False) == {"kept": True, "message": "watch is there", "period": 300, "timeout": 20}


def test_an_anomaly_takes_several_failures_and_bangs(tmp_path: Path) -> None:
    plugin = Plugin(tmp_path)
    plugin.there(True)
    assert plugin.check(was_kept=False)["kept"]
    plugin.there(False)
    first, second = plugin.check(was_kept=True), plugin.check(was_kept=True)
    assert (first["kept"], "bang" in first) == (True, False), "one failure of three is none"
    assert (second["kept"], second["bang"]) == (False, True)


def test_what_was_found_before_is_remembered_by_the_next_worker(tmp_path: Path) -> None:
    from freehold.node.promises import worker

    plugin = Plugin(tmp_path)
    plugin.check(was_kept=True)
    worker._loaded.clear()
    assert not plugin.check(was_kept=True)["kept"]


@pytest.mark.parametrize(("only", "was_kept"), [("test", True), ("anomaly", False)])
def test_one_that_is_for_one_phase_only_stays_out_of_the_other(tmp_path: Path, only: str, was_kept: bool) -> None:
    plugin = Plugin(tmp_path, only=only, amount="1")
    assert plugin.check(was_kept=was_kept)["kept"]
    assert not plugin.check(was_kept=not was_kept)["kept"]


def test_a_sense_that_raises_is_a_failure(tmp_path: Path) -> None:
    plugin = Plugin(tmp_path)
    plugin.path.write_text(PLUGIN.replace("path = os", "raise RuntimeError('boom')\n    path = os") + "{}")
    found = plugin.check(was_kept=False)
    assert (found["kept"], found["message"]) == (False, "RuntimeError: boom")


def test_only_results_of_the_last_minutes_count_when_that_is_asked(tmp_path: Path) -> None:
    from freehold.promises.slapos import GenericPromise

    class Old(GenericPromise):
        def sense(self) -> None:
            self.logger.error("broken")

    old = Old({"name": "old.py", "partition-folder": str(tmp_path)})
    old._remember(True, "long ago")
    rows = old._results()
    rows[0]["date"] = time.time() - 3600
    old._GenericPromise__history.write_text(__import__("json").dumps(rows))  # type: ignore[attr-defined]
    assert not old._test(result_count=3, failure_amount=1, latest_minute=5).hasFailed()
    assert old._test(result_count=3, failure_amount=1).hasFailed()
    assert len(old.getLastPromiseResultList(5, only_failure=True)) == 1
