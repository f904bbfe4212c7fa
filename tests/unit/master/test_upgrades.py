"""What a released version left in its database is all there after the upgrade to this one."""

import os
from pathlib import Path

import pytest

from support import versions
from support.running import SERVER_URL, Master, fresh_database

KIND = "postgresql" if SERVER_URL else "sqlite"


class Upgraded(Master):
    """A Master that begins with a database that is there."""

    def make(self) -> None:
        self.initialise()


def test_some_version_is_kept() -> None:
    assert [path.name.removesuffix(f".{KIND}.sql.gz") for path in versions.kept(KIND)][:1] == ["0.2.0"]


@pytest.mark.parametrize("dump", versions.kept(KIND), ids=lambda path: path.name.removesuffix(".sql.gz"))
def test_a_database_with_rows_of_each_version_is_upgraded_and_served(dump: Path, tmp_path: Path) -> None:
    with fresh_database(tmp_path) as url:
        versions.load(dump, url)
        master = Upgraded(tmp_path, url)
        try:
            shop = master.log_in("customer@shop.example")
            web = master.api("GET", "/projects/shop/instances/web", token=shop)
            assert (web["wanted"], web["release"], web["parameters"]) == ("started", "1.0", {"greeting": "hello"})
            assert web["promises"][0]["kept"] is True
            (invoice,) = master.api("GET", "/projects/shop/documents", token=shop)
            assert (invoice["number"], invoice["gross"]) == ("FR-2026-000001", "24.00")
            assert master.sql("SELECT count(*), sum(amount), sum(functional) FROM accounting_posting")[0][1:] == (0, 0)
            assert [one["title"] for one in master.api("GET", "/projects/shop/tickets", token=shop)] == [
                "web: Is it fast?"
            ]
            balance = "/entities/FR/reports/trial-balance?since=2026-01-01&until=2026-12-31"
            assert master.api("GET", balance)
            # A dump of the database holds no files; nothing else is wrong.
            _, _, wrong = master.run("check").stderr.partition("of 10.0\n")
            assert wrong.splitlines() == ["The archive of tiny 1.0 is missing: publish the release again."]
            # And it goes on: what guards the books is still there.
            with pytest.raises(Exception, match="written once"):
                master.sql("UPDATE billing_document SET net = 0")
            master.publish("another")
        finally:
            master.stop()


@pytest.mark.skipif("FREEHOLD_KEEP_VERSION" not in os.environ, reason="done once for each released version")
def test_this_version_is_kept(database: str) -> None:
    assert versions.keep(database).exists()
