"""One target fed for some seconds with what atheris makes of its examples, led by which of our code it reaches.

    python tests/fuzz/campaign.py TARGET SECONDS FOLDER

FOLDER keeps what was found to reach new code, for the next time. Ends with status 0 unless anything but a refusal
came of some bytes: they are then in `corpus/crash-…` in that folder, and the trace on standard error.
"""

import copy
import json
import random
import sys
from functools import partial
from pathlib import Path
from typing import Any

import atheris

LED_BY = ["freehold", "tarfile", "http_message_signatures", "http_sf", "email"]
"""Packages whose reached code leads."""
STRANGE: list[Any] = [
    None, True, 0, -1, 2**31, 2**53, 2**63, -(2**63), 2**64, 1e308, 0.5, "", "\0", "é" * 300, "../..", "9" * 5000,
    "\ud800", [], {}, [[]], "'; --",
]  # fmt: skip


def mutate(data: bytes, most: int, seed: int, examples: list[bytes]) -> bytes:
    """Return other bytes: of JSON mostly JSON with another value in some places, else whatever.

    Every other time of an example: what decodes in C reaches no new code of ours, and would never be kept.
    """
    chance = random.Random(seed)
    if chance.random() < 0.5:
        data = chance.choice(examples)
    try:
        message = json.loads(data)
    except ValueError:
        message = None
    if not isinstance(message, dict | list) or not message or chance.random() < 0.2:
        return bytes(atheris.Mutate(data, most))
    for _ in range(chance.randint(1, 3)):
        _change(message, chance)
    changed = json.dumps(message, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    return changed if len(changed) <= most else data


def _change(message: Any, chance: random.Random) -> None:
    place = message
    while True:
        key = chance.choice(sorted(place) if isinstance(place, dict) else range(len(place)))
        if not (isinstance(place[key], dict | list) and place[key] and chance.random() < 0.8):
            break
        place = place[key]
    value, kind = place[key], chance.random()
    if kind < 0.1:
        del place[key]
    elif kind < 0.2 and isinstance(place, list):
        place.append(copy.deepcopy(value))
    elif kind < 0.5 and isinstance(value, str) and value:
        place[key] = _bent(value, chance)
    elif (kind < 0.6 and isinstance(value, float)) or (isinstance(value, int) and abs(value) < 2**63):
        place[key] = value + chance.choice([-1, 1, 0.5, 3600, 2**40])
    else:
        place[key] = copy.deepcopy(chance.choice(STRANGE))
    if not message:
        message.append(0) if isinstance(message, list) else message.update({"": 0})


def _bent(text: str, chance: random.Random) -> str:
    begin, end = sorted(chance.choices(range(len(text) + 1), k=2))
    middle = chance.choice(["", text[begin:end] * 2, chance.choice(':;,="() \0é?/0A-_'), chr(chance.randint(0, 255))])
    return text[:begin] + middle + text[end:]


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parent.parent))
    name, seconds = sys.argv[1], sys.argv[2]
    corpus, work = (Path(sys.argv[3]) / folder for folder in ("corpus", "work"))
    corpus.mkdir(parents=True, exist_ok=True)
    work.mkdir(exist_ok=True)
    with atheris.instrument_imports(include=LED_BY):
        from fuzz.targets import TARGETS

        feed, examples = TARGETS[name](work)
    for number, example in enumerate(examples):
        (corpus / f"example-{number}").write_bytes(example)
        feed(example)
    options = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=20", f"-artifact_prefix={corpus}/"]
    # It ends the process itself, with the status that tells: nothing of it can be cleaned up here.
    atheris.Setup(
        [sys.argv[0], *options, str(corpus)],
        feed,
        custom_mutator=partial(mutate, examples=examples),
        enable_python_coverage=True,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
