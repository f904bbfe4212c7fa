"""The one gate: whatever a partition, a release or a build says to the node is checked here, once, where it enters.

Code of tenants and authors answers processes of root. Behind the gate nothing of it is larger, deeper, more numerous or
of another grammar than this file says, and every later consumer (store, outbox, supervisor, firewall, Master,
terminal) relies on that. What exceeds a bound raises ConfigureError, or ValueError for a promise's result, in words for
the customer: a failure of that instance and of nobody else. `docs/operators.md` has the table of bounds.
"""

import re
from typing import Annotated

import msgspec

from freehold.escaping import encodable
from freehold.node.errors import ConfigureError
from freehold.node.isolation.firewall import FirewallNetwork
from freehold.node.partition import layout
from freehold.node.partition.layout import Layout, Outcome, Served
from freehold.protocol import UNREADABLE, validation
from freehold.protocol.network import target, written
from freehold.protocol.validation import PERIODS, TIMEOUTS

MOST_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer to the node, whatever it answers."""
MOST_WORDS = 64 * 1024
"""Bytes of an error text; of it the end is kept, as much as a report holds."""
MOST_RESULT = 64 * 1024
"""Bytes of the result of one promise."""
MOST_REQUEST = 64 * 1024
"""Bytes of what an instance requests of another."""
SOONEST_RENEWAL = 60.0
"""Seconds after which an instance is configured again at the earliest because it asks to."""
LATEST_RENEWAL = 10 * 365 * 86400.0
_PATH = re.compile(f"(?:{layout.PLUGIN}/[^/]+\\.py|{layout.PROMISE}/[^/]+)")
_PATTERN = re.compile("Expected `str` matching regex '.*'")
_layouts = msgspec.json.Decoder(Layout)


class PromiseResult(msgspec.Struct, frozen=True):
    """What a worker says of one check of a promise."""

    id: int
    kept: bool
    message: Annotated[str, msgspec.Meta(max_length=MOST_RESULT)]
    period: float
    timeout: float
    bang: bool = False
    """It asks for the instance to be configured again."""


_results = msgspec.json.Decoder(PromiseResult)


def read_layout(answer: bytes, now: float) -> Layout:
    """Return the layout that a configuration answered; raise ConfigureError, for its customer, when it is not one.

    `now`: the time, in seconds since 1970.
    """
    if len(answer) > MOST_ANSWER:
        raise ConfigureError(f"Its configuration answered with {len(answer)} bytes; at most {MOST_ANSWER} are read.")
    try:
        layout = _layouts.decode(answer)
    except UNREADABLE as error:
        raise ConfigureError(f"Its configuration did not answer with a layout: {_words_of(error)}.") from None
    return check_layout(layout, now)


def check_layout(checked: Layout, now: float) -> Layout:
    """Return a layout with its values in their one form; raise ConfigureError for what no node takes."""
    for program in (*checked.services, *checked.runs):
        _check_file_name("service", program.name)
        for predecessor in program.after:
            _check_file_name("service", predecessor)
    for kind, names in (
        ("service", [program.name for program in checked.services]),
        ("run", [program.name for program in checked.runs]),
    ):
        _check_unique(kind, names)
    for path in checked.promises:
        if not _PATH.fullmatch(path):
            raise ConfigureError(f"{_shown(path)} is no path of a promise: they are in {layout.PLUGIN}/*.py and "
                                 f"{layout.PROMISE}/*.")  # fmt: skip
        _check_file_name("promise", path.rpartition("/")[2])
    _check_unique("promise", checked.promises)
    _check_publication("What it publishes", checked.published)
    return msgspec.structs.replace(checked, outcome=_checked_outcome(checked.outcome, now))


def read_result(line: bytes) -> PromiseResult:
    """Return the result of a promise, within its bounds; raise ValueError for what is none."""
    if len(line) > MOST_RESULT:
        raise ValueError("an answer without end")
    try:
        results = _results.decode(line)
    except UNREADABLE as error:
        raise ValueError(_words_of(error)) from None
    return msgspec.structs.replace(
        results,
        message=validation.text(results.message),
        period=_between(PERIODS, results.period),
        timeout=_between(TIMEOUTS, results.timeout),
    )


def words(output: bytes) -> str:
    """Return what somebody said as a text that can be kept, forwarded and stored: of a long one the end."""
    return validation.text(encodable(output[-MOST_WORDS:].decode(errors="backslashreplace")))


def network(declared: FirewallNetwork) -> FirewallNetwork:
    """Return a declaration of a network in its one form; raise ConfigureError for what no firewall knows.

    Ports are whole numbers from 1 to 65535; addresses are as Python writes them, without a scope.
    """
    for ports in (declared.tcp, declared.udp, declared.tcp_internal, declared.udp_internal):
        if len(ports or ()) > layout.MOST_PORTS:
            raise ConfigureError(f"It declares {len(ports or ())} ports; at most {layout.MOST_PORTS} are possible.")
        for port in ports or ():
            if not 0 < port < 65536:
                raise ConfigureError(f"It declares the port {_shown(port)}; ports are from 1 to 65535.")
    targets = declared.connect
    if len(targets or ()) > layout.MOST_TARGETS:
        raise ConfigureError(
            f"It connects to {len(targets or ())} targets; at most {layout.MOST_TARGETS} are possible."
        )
    return FirewallNetwork(
        None if declared.tcp is None else sorted(set(declared.tcp)),
        None if declared.udp is None else sorted(set(declared.udp)),
        None if targets is None else [_target(target) for target in targets],
        sorted(set(declared.tcp_internal)),
        sorted(set(declared.udp_internal)),
    )


def _target(declared: str) -> str:
    try:
        return written(*target(declared))
    except ValueError as error:
        raise ConfigureError(
            f"It may not connect to {_shown(declared)}: {error}. A target is an address such as '192.0.2.0/24', "
            "'192.0.2.7:443' or '[2001:db8::1]:443', or a port such as ':443'."
        ) from None


def _checked_outcome(outcome: Outcome, now: float) -> Outcome:
    _check_unique("request", [request.title for request in outcome.requests])
    for request in outcome.requests:
        _check_json(f"What it requests as '{request.title}'", request.spec, MOST_REQUEST)
    _check_unique("cluster", [cluster.name for cluster in outcome.clusters])
    for cluster in outcome.clusters:
        _check_json(f"What it requests as '{cluster.name}'", cluster.member, MOST_REQUEST)
    for instance, answer in outcome.served.items():
        _check_publication(f"What it publishes for {_shown(instance)}", answer.published)
    for rotation in outcome.logs:
        parts = rotation.path.split("/")
        if rotation.path.startswith("/") or ".." in parts or "\0" in rotation.path:
            raise ConfigureError(f"{_shown(rotation.path)} is no path of a log inside the partition.")
    served = {
        instance: Served(values.published, validation.text(encodable(values.error)))
        for instance, values in outcome.served.items()
    }
    renew_at = outcome.renew_at
    if renew_at is not None:
        # One that is always due would have the node do nothing else.
        renew_at = min(max(renew_at, now + SOONEST_RENEWAL), now + LATEST_RENEWAL)
    declared = None if outcome.network is None else network(outcome.network)
    return msgspec.structs.replace(outcome, served=served, network=declared, renew_at=renew_at)


def _check_file_name(kind: str, name: str) -> None:
    if len(name.encode()) > layout.LONGEST_NAME:
        raise ConfigureError(f"The name of a {kind} has more than {layout.LONGEST_NAME} bytes: {_shown(name)}.")


def _check_unique(kind: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigureError(f"Its configuration answered with two of the {kind} {_shown(twice)}.")


def _check_publication(description: str, values: dict[str, object]) -> None:
    try:
        validation.publication(values)
    except ValueError as error:
        raise ConfigureError(f"{description} cannot be taken: {error}.") from None


def _check_json(description: str, value: object, most: int) -> None:
    try:
        if (size := len(validation.encoded(value))) > most:
            raise ValueError(f"it has {size} bytes; at most {most} are accepted")
        validation.check_depth(value)
    except ValueError as error:
        raise ConfigureError(f"{description} cannot be taken: {error}.") from None


def _words_of(error: BaseException) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    # Values that msgspec quotes are the partition's own text.
    return _PATTERN.sub("Expected a text of one line, in the form of its kind,", encodable(str(error)))[:300]


def _shown(value: object) -> str:
    """Return a value of others as part of a message: short, in one line."""
    shown = ascii(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}…"


def _between(limits: tuple[float, float], value: float) -> float:
    # In this order, not-a-number becomes the lower limit.
    return min(limits[1], max(limits[0], value))
