"""`./dev test --changed` finds the tests that a change can break, the nearest first."""

import subprocess
from pathlib import Path

import changed
import check
import pytest


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small project: money, a bill that uses it, a page that shows the bill, and a test of each."""
    files = {
        "src/shop/__init__.py": "",
        "src/shop/money.py": "",
        "src/shop/bill.py": 'from shop import money\n\nQUERY = "bill.sql"\n',
        "src/shop/sql/bill.sql": "SELECT 1",
        "src/shop/page.py": "def show():\n    from shop.bill import QUERY\n",
        "tests/support/market.py": "import shop.bill\n",
        "tests/unit/test_money.py": "import shop.money\n",
        "tests/unit/test_bill.py": "import shop.bill\n",
        "tests/unit/test_stories.py": "from support.market import Market\n",
        "tests/unit/test_page.py": "import shop.page\n",
        "tests/unit/test_stars.py": "",
        "tests/journeys/test_shopping.py": "import shop.page\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def names(house: Path, *paths: str) -> list[str]:
    return [Path(path).stem for path in changed.tests_of(house, paths)]


def test_who_imports_a_change_is_tested_the_nearest_first(house: Path) -> None:
    assert names(house, "src/shop/money.py") == ["test_money", "test_bill", "test_page", "test_stories"]
    assert names(house, "src/shop/page.py") == ["test_page"], "what is below the change stays as it was"


def test_statements_are_those_of_the_module_that_loads_them(house: Path) -> None:
    assert names(house, "src/shop/sql/bill.sql") == ["test_bill", "test_page", "test_stories"]


def test_a_test_that_changed_is_run_and_a_journey_then_only(house: Path) -> None:
    assert names(house, "tests/unit/test_stars.py") == ["test_stars"]
    assert names(house, "tests/journeys/test_shopping.py") == ["test_shopping"]
    assert names(house, "tests/support/market.py") == ["test_stories"]
    assert names(house, "README.md", "src/shop/gone.py") == []


def test_what_git_does_not_know_yet_changed_too(house: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words], cwd=house, check=True)

    git("init", "--quiet")
    git("add", "src")
    git("commit", "--quiet", "-m", "shop: open")
    (house / "src" / "shop" / "money.py").write_text("CENTS = 100\n")
    (house / ".gitignore").write_text("tests/unit\n")
    assert changed.changed_files(house, "HEAD") == [
        ".gitignore", "src/shop/money.py", "tests/journeys/test_shopping.py", "tests/support/market.py",
    ]  # fmt: skip


def test_what_is_not_run_on_postgresql_is_named_as_it_is_called() -> None:
    masters = {path.stem for path in Path("tests/unit/master").glob("test_*.py")}
    journeys = {path.stem for path in Path("tests/journeys").glob("test_*.py")}
    assert {f"test_{name}" for name in check.WITHOUT_NEWS} < masters
    assert {f"test_{name}" for name in check.JOURNEYS_WITH_NEWS} < journeys
