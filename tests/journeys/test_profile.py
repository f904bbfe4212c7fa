"""The same service, configured by a buildout profile instead of a typed plan."""

import shutil
from pathlib import Path

import pytest

from machines import MODES, REPOSITORY, Cloud, page, shows
from waiting import until

PROFILE = REPOSITORY / "tests" / "releases" / "hello-profile"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hello with `instance.cfg` in the place of `instance.py`."""
    folder = tmp_path_factory.mktemp("release") / "hello-profile"
    shutil.copytree(REPOSITORY / "software" / "hello", folder)
    (folder / "instance.py").unlink()
    shutil.copytree(PROFILE, folder, dirs_exist_ok=True)
    return folder


@pytest.mark.parametrize("mode", MODES)
def test_a_profile_leads_to_the_same_partition_and_follows_its_parameters(
    cloud: Cloud, release: Path, mode: str
) -> None:
    machine = cloud.machine(unprivileged=mode == "unprivileged", title=mode)
    cloud.publish(release)
    title, where = f"profile-{mode}", {"node": mode}
    greeting = "costs ${money:here} & 50%\n[not a section]"
    shop = cloud.order(title, "hello-profile", parameters={"greeting": "bonjour"}, constraints=where, seconds=120)
    assert "bonjour" in page(shop["publication"]["url"])
    assert [promise["name"] for promise in shop["promises"]] == ["page"]
    folder = machine.folder(shop["partition"])
    assert (folder / "etc" / "service" / "hello").exists()
    assert (folder / "etc" / "plugin" / "page.py").exists()
    pids = machine.pids(title)
    shop = cloud.order(title, "hello-profile", parameters={"greeting": "salut"})
    assert "salut" in page(shop["publication"]["url"])
    assert machine.pids(title) != pids
    cloud.master.request(title, "hello-profile", parameters={"greeting": greeting})
    until(shows(shop["publication"]["url"], "${money:here} &amp; 50%"), 30)
    assert cloud.order(title, "hello-profile", state="destroyed")["state"] == "destroyed"
    assert list(folder.iterdir()) == []
