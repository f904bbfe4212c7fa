"""The gate: whatever a partition answers, behind it is a layout within all bounds, or words for its customer."""

import ipaddress
import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.node.errors import ConfigureError
from freehold.node.isolation.firewall import FirewallNetwork
from freehold.node.partition import gate, layout
from freehold.node.partition.layout import Layout
from freehold.protocol import MAX_DEPTH, MAX_MESSAGE, MAX_PROMISES, MAX_PUBLICATION, validation
from freehold.protocol.network import target, written
from freehold.protocol.report import PublicationReport
from freehold.protocol.validation import PERIODS, TIMEOUTS

NOW = 1_800_000_000.0
HONEST: dict[str, Any] = {
    "services": [{"name": "web", "digest": "1", "after": ["db"]}, {"name": "db", "digest": "2"}],
    "runs": [{"name": "web", "digest": "3"}],
    "promises": ["etc/plugin/page.py", "etc/promise/page"],
    "published": {"url": "http://[2001:db8::1]:8080", "number": 2**80},
    "outcome": {
        "requests": [{"title": "data base", "spec": {"product": "postgresql"}}],
        "missing": ["data base"],
        "served": {"inst-1": {"published": {"a": 1}}, "inst-2": {"error": "No."}},
        "logs": [{"path": "srv/log", "most": 10, "keep": 2}],
        "network": {"tcp": [8080], "udp": [53], "connect": ["192.0.2.7:443", "2001:db8::/32", ":25"]},
        "renew_at": NOW + 86400,
    },
}


def answer(**changed: Any) -> bytes:
    return json.dumps(HONEST | changed).encode()


def outcome(**changed: Any) -> bytes:
    return answer(outcome=HONEST["outcome"] | changed)


def service(**changed: Any) -> bytes:
    return answer(services=[{"name": "web", "digest": "1"} | changed])


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


ABSURD = {
    "no JSON": b"abc",
    "no object": b"null",
    "endless nesting": b"[" * 100_000,
    "no UTF-8": b'{"published": {"a": "\xed\xa0\x80"}}',
    "half a character": b'{"published": {"a": "\\ud800"}}',
    "a number of 500 digits": b'{"published": {"a": ' + b"9" * 500 + b"}}",
    "a number that is none": b'{"published": {"a": 1e999}}',
    "a large publication": answer(published={"a": "x" * MAX_PUBLICATION}),
    "a deep publication": answer(published={"a": nested(MAX_DEPTH + 1)}),
    "more than is read": answer(padding="x" * gate.MOST_ANSWER),
    "a zero character in a name": service(name="a\0b"),
    "a line feed in a name": service(name="a\nb"),
    "a line feed at the end of a name": service(name="a\n"),
    "a path as a name": service(name="../../bin/sh"),
    "no name": service(name=""),
    "a hidden name": service(name=".profile"),
    "a long name": service(name="é" * layout.LONGEST_NAME),
    "an escape in a name": service(name="\x9b2J"),
    "another service in its name's place": service(after=["a\nb"]),
    "the same service twice": answer(services=HONEST["services"] * 2),
    "services without end": answer(services=[{"name": f"s{n}", "digest": ""} for n in range(layout.MOST_PROGRAMS + 1)]),
    "a long digest": service(digest="x" * 1000),
    "an endless stop": service(stop_timeout=1e308),
    "a stop before it began": service(stop_timeout=-1),
    "a stop at no time": service(stop_timeout=math.nan),
    "a stop at last": service(stop_timeout=math.inf),
    "a stop soon": service(stop_timeout="soon"),
    "another signal": service(stop_signal="KILL"),
    "a signal and a line": service(stop_signal="TERM\n"),
    "promises without end": answer(promises=[f"etc/promise/p{n}" for n in range(MAX_PROMISES)]),
    "a promise elsewhere": answer(promises=["../p1/etc/plugin/page.py"]),
    "a promise below": answer(promises=["etc/plugin/../../x.py"]),
    "a title with a slash": outcome(requests=[{"title": "a/b", "spec": {}}]),
    "a large request": outcome(requests=[{"title": "a", "spec": {"parameters": "x" * gate.MOST_REQUEST}}]),
    "a deep request": outcome(requests=[{"title": "a", "spec": {"a": nested(MAX_DEPTH + 1)}}]),
    "requests without end": outcome(requests=[{"title": f"r{n}", "spec": {}} for n in range(1000)]),
    "a large answer to a shared instance": outcome(served={"i": {"published": {"a": "x" * MAX_PUBLICATION}}}),
    "a log outside": outcome(logs=[{"path": "../../etc/shadow", "most": 1, "keep": 1}]),
    "a log at the root": outcome(logs=[{"path": "/etc/shadow", "most": 1, "keep": 1}]),
    "a log of less than nothing": outcome(logs=[{"path": "x", "most": -1, "keep": 1}]),
    "logs kept without end": outcome(logs=[{"path": "x", "most": 1, "keep": 10**9}]),
    "a port below": outcome(network={"tcp": [0]}),
    "a port above": outcome(network={"udp": [65536]}),
    "a port that is a text": outcome(network={"tcp": ["80"]}),
    "ports without end": outcome(network={"tcp": list(range(1, 5000))}),
    "targets without end": outcome(network={"connect": [":1"] * 5000}),
    "a scope that is a script": outcome(network={"connect": ['fe80::1%lo accept\ninclude "shadow"\n#']}),
    "a scope": outcome(network={"connect": ["fe80::1%eth0"]}),
    "a name for a target": outcome(network={"connect": ["example.org; flush ruleset"]}),
    "a target of no port": outcome(network={"connect": ["192.0.2.1:"]}),
    "a port that Python reads": outcome(network={"connect": ["192.0.2.1:4_4"]}),
    "a port of other digits": outcome(network={"connect": [":٤٤"]}),
    "an open bracket": outcome(network={"connect": ["[::1"]}),
    "a renewal that is no time": outcome(renew_at="soon"),
}


@pytest.mark.parametrize("said", ABSURD)
def test_what_is_beyond_a_bound_is_a_failure_with_words(said: str) -> None:
    with pytest.raises(ConfigureError) as failure:
        gate.read_layout(ABSURD[said], NOW)
    words = str(failure.value)
    assert words.endswith(".")
    assert len(words) < 1000
    assert words.isprintable(), "what it says of itself is not shown as it is"


def test_an_honest_answer_passes_in_its_one_form() -> None:
    found = gate.read_layout(answer(), NOW)
    assert found.published == HONEST["published"]
    assert found.outcome.network == FirewallNetwork([8080], [53], ["192.0.2.7/32:443", "2001:db8::/32", ":25"])
    assert msgspec.json.decode(msgspec.json.encode(found), type=Layout) == found
    assert gate.check_layout(found, NOW) == found


@pytest.mark.parametrize("moment", [-1e308, 0.0, NOW - 1, NOW, NOW + 1, 1e308])
def test_nobody_is_configured_without_a_pause_because_it_asks_to(moment: float) -> None:
    renewal = gate.read_layout(outcome(renew_at=moment), NOW).outcome.renew_at
    assert renewal is not None
    assert NOW + gate.SOONEST_RENEWAL <= renewal <= NOW + gate.LATEST_RENEWAL


anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["services", "runs", "promises", "published", "outcome"]
INNER = ["requests", "missing", "served", "logs", "network", "renew_at"]


@given(some.sampled_from(FIELDS), some.sampled_from(INNER), anything, some.booleans())
def test_any_value_in_any_field_is_a_layout_within_bounds_or_words(
    field: str, inner: str, value: Any, is_inner: bool
) -> None:
    said = outcome(**{inner: value}) if is_inner else answer(**{field: value})
    assert_passes_or_is_told(said)


@given(some.binary(max_size=200), some.integers(0, 2000), some.integers(0, 50))
def test_any_bytes_are_a_layout_within_bounds_or_words(noise: bytes, at: int, cut: int) -> None:
    honest = answer()
    assert_passes_or_is_told(honest[:at] + noise + honest[at + cut :])


def assert_passes_or_is_told(said: bytes) -> None:
    words = ""
    try:
        assert_within_bounds(gate.read_layout(said, NOW))
    except ConfigureError as error:
        words = str(error)
    assert words.isprintable()


def assert_within_bounds(found: Layout) -> None:
    """What the consumers rely on: the kernel, the Master, and the firewall."""
    validation.check(PublicationReport("i", 1, found.published), NOW)
    for one in (*found.services, *found.runs):
        assert one.name == one.name.strip("/")
        assert 0 < len(one.name.encode()) <= layout.LONGEST_NAME
        assert one.name.isprintable() or not any(ord(letter) < 32 for letter in one.name)
        assert 0 <= one.stop_timeout <= layout.LONGEST_STOP
    if (network := found.outcome.network) is not None:
        assert all(0 < port < 65536 for port in (*(network.tcp or ()), *(network.udp or ())))
        for one in network.connect or ():
            address, _ = target(one)
            assert not address or str(ipaddress.ip_network(address)) == address
    renewal = found.outcome.renew_at
    assert renewal is None or NOW < renewal <= NOW + gate.LATEST_RENEWAL


@given(some.text())
def test_a_target_is_understood_as_it_is_written_or_refused(text: str) -> None:
    try:
        found = target(text)
    except ValueError:
        return
    assert target(written(*found)) == found


# Promises


def result(**changed: Any) -> bytes:
    honest = {"id": 1, "kept": True, "message": "well", "period": 60.0, "timeout": 10.0}
    return json.dumps(honest | changed).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"id": 1, "kept": true, "message": "\\ud800"}',
        result(kept=1), result(id="1"), result(message=None), result(period=math.nan), result(period=math.inf),
        result(message="x" * gate.MOST_RESULT),
    ],
)  # fmt: skip
def test_what_is_no_result_of_a_promise_is_none(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        gate.read_result(line)


@given(some.floats(allow_nan=False, allow_infinity=False), some.floats(allow_nan=False, allow_infinity=False))
def test_how_often_and_how_long_it_is_checked_is_bounded(period: float, timeout: float) -> None:
    found = gate.read_result(result(period=period, timeout=timeout, message="x" * 10_000 + "end\0"))
    assert PERIODS[0] <= found.period <= PERIODS[1]
    assert TIMEOUTS[0] <= found.timeout <= TIMEOUTS[1]
    assert len(found.message) == MAX_MESSAGE
    assert found.message.endswith("end�")


@given(some.binary())
def test_whatever_was_said_is_a_text_that_can_be_kept(said: bytes) -> None:
    words = gate.words(said * 3)
    assert len(words) <= MAX_MESSAGE
    assert "\0" not in words
    words.encode()


def test_bytes_that_are_no_text_are_shown() -> None:
    assert gate.words(b"waiting: caf\xe9") == "waiting: caf\\xe9"
