"""The kit in pytest: the fixtures `cloud` and `former`. Installed with Freehold, it is there in every test."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from freehold.kit.cloud import Cloud


FORMER = "FREEHOLD_FORMER"
"""The variable that says from which packed release is upgraded."""


@pytest.fixture(scope="module")
def former(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed release from which is upgraded: of `software test --from FILE`, or the one beside the tests under
    another version: then what is done at each upgrade is tested, and nothing of what changed.
    """
    if FORMER in os.environ:
        return Path(os.environ[FORMER])
    from freehold.kit import trial

    packed = tmp_path_factory.mktemp("former") / "former.tar.gz"
    packed.write_bytes(trial.pack_former(request.path.parent).packed)
    return packed


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Cloud]":
    """A Master with one node on this machine, for the tests of one file; removed after them."""
    # Here, and not above: every pytest of an environment with Freehold reads this file.
    from freehold.kit.cloud import Cloud

    cloud = Cloud(tmp_path_factory.mktemp("master"))
    try:
        cloud.add_node()
        yield cloud
    finally:
        cloud.remove()
