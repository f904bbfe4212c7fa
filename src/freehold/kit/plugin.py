"""The kit in pytest: the fixture `cloud`. Installed with Freehold, it is there in every test."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from freehold.kit.cloud import Cloud


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
