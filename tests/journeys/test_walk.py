"""The page for new authors, followed word for word: its commands run, its files written, in the order they stand."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
PAGE = REPOSITORY / "docs" / "authors" / "first-release.md"


def steps() -> Iterator[tuple[str, str]]:
    """Yield what the page says to do: commands as ("", commands), files as (path, content)."""
    before = ""
    for paragraph in re.split(r"(```.*?```\n)", PAGE.read_text(), flags=re.DOTALL):
        if not paragraph.startswith("```"):
            before = paragraph
            continue
        kind, _, text = paragraph.removeprefix("```").removesuffix("```\n").partition("\n")
        if kind == "sh":
            yield "", text
        else:
            paths = re.findall(r"`(redis/[\w.]+)`", before)
            assert paths, f"The page does not say into which file this goes: {text[:80]}"
            yield paths[-1], text


def test_a_new_author_gets_a_tested_release_from_the_page_alone(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    outputs = []
    began = time.monotonic()
    for path, text in steps():
        if path:
            assert (tmp_path / path).exists(), "every file of the page replaces one that `new` made"
            (tmp_path / path).write_text(text)
            continue
        for command in text.splitlines():
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            outputs.append((command, done.stdout))
    print(f"The machine's part of the walk: {time.monotonic() - began:.0f} s")
    said = dict(outputs)
    assert "in bin/: redis-cli redis-server" in said["freehold software build redis"]
    tests = [text for command, text in outputs if command == "freehold software test redis"]
    assert ["3 passed" in text for text in tests] == [True, False]
    assert "6 passed" in tests[1]
    assert (tmp_path / "redis-7.0.tar.gz").exists()
