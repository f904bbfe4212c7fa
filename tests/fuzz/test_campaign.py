"""What comes over the network is fed to whoever reads it: each example here, millions of their mutants in a campaign.

FREEHOLD_ATHERIS=300 .venv/bin/python -m pytest tests/fuzz      # seconds for each target; takes `pip install atheris`
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

SECONDS = int(os.environ.get("FREEHOLD_ATHERIS", "0"))
CAMPAIGN = Path(__file__).parent / "campaign.py"
ONE = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from fuzz.targets import TARGETS
feed, examples = TARGETS[{name!r}](Path(sys.argv[1]))
assert examples
for example in examples:
    feed(example)
    for end in range(0, len(example), max(1, len(example) // 20)):
        feed(example[:end])
        feed(example[:end] + bytes([example[end] ^ 0xC1]) + example[end + 1:])
"""


@pytest.mark.parametrize("name", TARGETS)
def test_examples_are_taken_and_what_is_wrong_with_them_refused(name: str, tmp_path: Path) -> None:
    program = ONE.format(tests=str(Path(__file__).parent.parent), name=name)
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(not SECONDS, reason="a campaign: FREEHOLD_ATHERIS=SECONDS")
@pytest.mark.parametrize("name", TARGETS)
def test_campaign(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(CAMPAIGN), name, str(SECONDS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 300)
    crashes = [(path.name, path.read_bytes()) for path in tmp_path.glob("corpus/crash-*")]
    assert done.returncode == 0, f"{crashes}\n{done.stderr[-5000:]}"
