"""What `./dev up` does again after a change."""

import http
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from freehold.client import Client, Refused
from freehold.protocol import archive
from freehold.protocol.problem import Problem

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    for name in ("demo", "commerce"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import demo

    return demo


class Operator:
    """Publishes as the Master does: what was published under a version never changes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.known = folder, dict[str, str]()

    def publish(self, packed: bytes) -> Any:
        shutil.rmtree(self.folder, ignore_errors=True)
        archive.unpack(packed, self.folder)
        version = json.loads((self.folder / "software.cfg.json").read_text())["version"]
        if self.known.setdefault(version, archive.digest(packed)) != archive.digest(packed):
            raise Refused(Problem("conflict", "It is there", http.HTTPStatus.CONFLICT))
        assert f'"{version}"' in (self.folder / "instance.py").read_text()
        return SimpleNamespace(version=version)


def test_a_release_that_changed_is_published_as_a_version_of_its_own(demo: Any, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(REPOSITORY / "software" / "hello", tmp_path / "hello"))
    operator = Operator(tmp_path / "unpacked")
    first = demo.publish(cast(Client, operator), folder).version
    assert demo.publish(cast(Client, operator), folder).version == first
    (folder / "hello.py").write_text((folder / "hello.py").read_text() + "\n# another day\n")
    second = demo.publish(cast(Client, operator), folder).version
    assert second.startswith(f"{first}.")
    assert demo.publish(cast(Client, operator), folder).version == second
