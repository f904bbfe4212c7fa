"""Plans: what an author may write, and what the author is told when it is wrong."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, nan
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from freehold.promises import Assessment, FileState, Http, TcpPort, every
from freehold.release import (
    Certificate,
    Context,
    File,
    Job,
    LogRotation,
    Network,
    Plan,
    Process,
    Release,
    ReleaseError,
    RequestType,
    Task,
    Type,
    make_plan,
)
from freehold.release.folder import generate, schema

CONTEXT = Context(
    instance="inst-1",
    title="shop",
    type="default",
    address="127.9.9.9",
    partition=Path("/p0"),
    software=Path("/software"),
    release=Path("/software/release"),
)


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    greeting: str = "hello"


class Publication(msgspec.Struct):
    url: str


@dataclass(frozen=True)
class Own:
    """A promise that its author wrote: no other process could import it."""

    period: float = 1.0
    timeout: float = 1.0

    def check(self) -> Assessment:
        return Assessment(True, "")


def planned(function: Callable[[Parameters, Context], Any], parameters: bytes = b"{}") -> Plan:
    kind = Type("Page", Parameters, Publication, function)
    return make_plan(Release("hello", "1.0", "", {"default": kind}), "default", parameters, CONTEXT)


def process(name: str = "web", **more: Any) -> Process:
    return Process(name, ("/bin/web",), **more)


def test_a_good_plan_is_taken_as_it_is() -> None:
    configuration = File("etc/web.json", b"\xff\x00")
    plan = Plan(
        processes=(process(reads=(configuration,), environment={"LANG": "C"}),),
        tasks=(Task("once", ("/bin/once",)),),
        files=(configuration, File("etc/service.d/x", "text", 0o644)),
        directories=("srv/data", "srv"),
        promises={"page": Http("http://x/"), "port": TcpPort("127.0.0.1", 80)},
        publication=Publication("http://x/"),
    )
    assert planned(lambda parameters, context: plan) == plan
    assert planned(lambda parameters, context: Plan()) == Plan()


def job(**more: Any) -> Plan:
    return Plan(jobs=(Job("clean", ("/bin/true",), **more),))


def promised(**more: Any) -> Plan:
    return Plan(promises={"page": Http("http://127.0.0.1/", **more)})


MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "two processes": (
        lambda: Plan(processes=(process(),), tasks=(Task("web", ("/bin/web",)),)),
        "two of the process or task 'web'",
    ),
    "two files": (lambda: Plan(files=(File("a", ""), File("a", "x"))), "two of the file 'a'"),
    "two names of one file": (lambda: Plan(files=(File("a/b", ""), File("a//./b", ""))), "two of the file 'a/b'"),
    "process without a name": (lambda: Plan(processes=(process(""),)), "'' cannot be the name"),
    "process elsewhere": (lambda: Plan(processes=(process("../x"),)), "'../x' cannot be the name"),
    "hidden process": (lambda: Plan(processes=(process(".x"),)), "'.x' cannot be the name"),
    "promise elsewhere": (lambda: Plan(promises={"a/b": Http("x")}), "'a/b' cannot be the name"),
    "absolute file": (lambda: Plan(files=(File("/etc/passwd", ""),)), "'/etc/passwd' is not a path inside"),
    "file upwards": (lambda: Plan(files=(File("etc/../../x", ""),)), "is not a path inside"),
    "file without a name": (lambda: Plan(files=(File("", ""),)), "'' is not a path inside"),
    "file of the node": (lambda: Plan(files=(File("./.freehold/key.pem", ""),)), "is not a path inside"),
    "directory upwards": (lambda: Plan(directories=("..",)), "'..' is not a path inside"),
    "zero byte": (lambda: Plan(files=(File("a\0b", ""),)), "is not a path inside"),
    "reads what is not written": (
        lambda: Plan(processes=(process(reads=(File("a", ""),)),)),
        "'web' reads 'a', which the plan does not write",
    ),
    "file where a process is": (
        lambda: Plan(processes=(process(),), files=(File("etc/service/web", ""),)),
        "two things at 'etc/service/web'",
    ),
    "file where a promise is": (
        lambda: Plan(promises={"page": Http("x")}, files=(File("etc/plugin/page.py", ""),)),
        "two things at 'etc/plugin/page.py'",
    ),
    "file where a folder is": (lambda: Plan(files=(File("a", ""), File("a/b", ""))), "two things at 'a'"),
    "file where a directory is": (lambda: Plan(files=(File("a", ""),), directories=("a",)), "two things at 'a'"),
    "not a plan": (lambda: None, "returns None, not a Plan"),
    "content of no kind": (lambda: Plan(files=(File("a", 3),)), "File 'a': content must be str or bytes, not int"),  # type: ignore[arg-type]
    "one argument string": (lambda: Process("web", "/bin/web"), "argv must be tuple or list, not str"),  # type: ignore[arg-type]
    "number among arguments": (lambda: Process("web", ("/bin/web", 80)), "argv: each must be str or Path, not int"),  # type: ignore[arg-type]
    "no arguments": (lambda: Process("web", ()), "argv must name a program"),
    "number in the environment": (lambda: process(environment={"PORT": 80}), "environment PORT must be str, not int"),
    "no variable's name": (lambda: process(environment={"A-B": ""}), "'A-B' cannot be the name of a variable"),
    "a process that is none": (lambda: Plan(processes=("web",)), "processes: each must be Process, not str"),  # type: ignore[arg-type]
    "forgotten comma": (lambda: Plan(files=(File("a", ""))), "files must be tuple or list, not File"),  # type: ignore[arg-type]
    "promise of one's own": (lambda: Plan(promises={"page": Own()}), "must be one of freehold.promises"),
    "published as a dict": (lambda: Plan(publication={"url": ""}), "publication must be Struct or NoneType"),  # type: ignore[arg-type]
    "after what is not there": (
        lambda: Plan(processes=(process(after=(process("database"),)),)),
        "'web' comes after the process 'database', which the plan does not have",
    ),
    "after too many": (lambda: process(after=(process("database"),) * 17), "after must hold at most 16, not 17"),
    "ready at no port": (lambda: process(ready=65536), "ready must be a port or the path of a socket, not 65536"),
    "ready where it does not listen": (
        lambda: Plan(processes=(process(ready=80),), network=Network(listen=(8080,))),
        "'web' is ready at port 80, where the plan does not listen",
    ),
    "told by no signal": (lambda: process(stop_signal="KILL"), "stop_signal must be one of TERM, INT"),
    "never to be killed": (lambda: process(stop_timeout=1e9), "stop_timeout must be from 0 to 120 seconds, not 1e+09"),
    "ended before it began": (lambda: process(stop_timeout=-5), "stop_timeout must be from 0 to 120 seconds, not -5"),
    "ended at no time": (lambda: process(stop_timeout=nan), "stop_timeout must be from 0 to 120 seconds, not nan"),
    "ended at last": (lambda: process(stop_timeout=inf), "stop_timeout must be from 0 to 120 seconds, not inf"),
    "ended soon": (lambda: process(stop_timeout="soon"), "stop_timeout must be int or float, not str"),
    "a job at no time": (lambda: job(every=nan), "every must be from 1 to 3.16224e+07 seconds, not nan"),
    "a job that never ends": (lambda: job(every=60, timeout=inf), "timeout must be from 1 to 3.16224e+07 seconds"),
    "a log without end": (lambda: LogRotation("srv/a", megabytes=inf), "'srv/a': megabytes must be from 0 to"),
    "a log of before": (lambda: LogRotation("srv/a", keep=-1), "'srv/a': keep must be from 0 to 1000, not -1"),
    "a certificate for no day": (lambda: Certificate("a", ("a",), days=0), "days must be from 1 to 36500, not 0"),
    "a mode that is none": (lambda: File("a", "", mode=0o1234567), "File 'a': mode must be from 0 to 0o7777"),
    "a promise at no time": (
        lambda: promised(period=nan),
        "promise 'page': period: it must be from 1 to 86400, not nan",
    ),
    "a promise without end": (lambda: promised(timeout=inf), "promise 'page': timeout: it must be from 0.1 to 3600"),
    "a promise of a text": (
        lambda: promised(status="200"),
        "promise 'page': status: it must be a whole number, not str",
    ),
    "a promise of a path": (
        lambda: Plan(promises={"old": FileState(Path("/a"))}),  # type: ignore[arg-type]
        "promise 'old': path: it must be a text, not PosixPath",
    ),
    "a promise of a function": (
        lambda: Plan(promises={"own": every(60)(lambda: Assessment(True, ""))}),
        "promise 'own' must be one of freehold.promises",
    ),
    "an exception": (lambda: {}["greeting"], "KeyError: 'greeting'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_words(name: str) -> None:
    make, words = MISTAKES[name]
    with pytest.raises(ReleaseError) as error:
        planned(lambda parameters, context: make())
    assert words in str(error.value)


def test_what_may_be_a_secret_is_not_told() -> None:
    with pytest.raises(ReleaseError) as error:
        planned(lambda parameters, context: Plan(files=(File("a", ["my secret"]),)))  # type: ignore[arg-type]
    assert "secret" not in str(error.value).rpartition(": ")[2]
    assert "not list" in str(error.value)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [(b'{"greeting": 3}', "$.greeting"), (b'{"x": 1}', "`x`"), (b"[]", "Expected `object`"), (b"{", "truncated")],
)
def test_parameters_that_do_not_fit_are_refused(parameters: bytes, words: str) -> None:
    with pytest.raises(ReleaseError, match="The parameters do not fit") as error:
        planned(lambda parameters, context: Plan(), parameters)
    assert words in str(error.value)


def test_a_type_that_the_release_does_not_have_is_refused() -> None:
    with pytest.raises(ReleaseError, match=r"hello 1\.0 has no type 'huge'"):
        make_plan(Release("hello", "1.0", "", {}), "huge", b"{}", CONTEXT)


def test_an_author_may_refuse_in_words_of_their_own() -> None:
    def refuse(parameters: Parameters, context: Context) -> Plan:
        raise ReleaseError("Choose a shorter greeting.")

    with pytest.raises(ReleaseError, match=r"^Choose a shorter greeting\.$"):
        planned(refuse)


@pytest.mark.parametrize("wrong", [{"parameters": dict}, {"publication": Publication("")}, {"plan": "plan"}])
def test_a_type_is_made_of_structs_and_a_function(wrong: dict[str, Any]) -> None:
    kind = Type("Page", Parameters, Publication, lambda parameters, context: Plan())
    with pytest.raises(TypeError, match=f"Type: {next(iter(wrong))} must be"):
        replace(kind, **wrong)


def test_a_process_is_restarted_when_what_it_depends_on_changes_and_only_then() -> None:
    file = File("etc/web.json", "{}")
    one = process(environment={"A": "1", "B": "2"}, reads=(file,))
    assert one.digest() == process(environment={"B": "2", "A": "1"}, reads=(file,)).digest()
    assert one.digest() == replace(one, name="other").digest()
    for change in (
        {"argv": ("/bin/web", "--fast")},
        {"environment": {"A": "1"}},
        {"reads": (File("etc/web.json", "[]"),)},
        {"after": (Task("prepare", ("/bin/prepare",)),)},
    ):
        assert replace(one, **change).digest() != one.digest()  # type: ignore[arg-type]
    secure = process(reads=(Certificate("web", ("web.example",)),))
    assert secure.digest({"web": "PEM"}) == secure.digest({"web": "PEM", "other": "PEM"})
    assert secure.digest({"web": "PEM"}) != secure.digest({"web": "renewed"})


class Counted(msgspec.Struct):
    copies: Annotated[int, msgspec.Meta(ge=1)] = 1
    name: str = ""


def _requesting(*requests: RequestType) -> Type:
    return Type("Page", Counted, Publication, lambda parameters, context: Plan(), requests=requests)


def test_what_a_type_may_request_is_written_into_the_descriptor() -> None:
    kind = _requesting(RequestType("hello", number="copies", apart="node"), RequestType("store", "shelf", shared=True))
    described = json.loads(generate(Release("hello", "1.0", "", {"default": kind}))["software.cfg.json"])
    assert described["software-type"]["default"]["requests"] == [
        {"product": "hello", "type": "default", "shared": False, "number": "copies", "apart": "node"},
        {"product": "store", "type": "shelf", "shared": True, "number": 1},
    ]


@pytest.mark.parametrize(
    ("requests", "mistake"),
    [
        ([("hello", "default", False, "name")], "names 'name', which is no integer parameter"),
        ([("hello", "default", False, "lost")], "names 'lost', which is no integer parameter"),
        ([("hello", "default", False, 0)], "number must be 1 to 2000"),
        ([("hello",), ("hello", "default", True)], "name each product and type once"),
        ([(7,)], "product"),
        ([("hello", "default", False, 2, "rack")], "apart must be 'node', 'site' or None"),
        ([("hello", "default", True, 2, "node")], "cannot be apart"),
    ],
)
def test_a_type_that_may_request_nonsense_is_no_type(requests: list[tuple[Any, ...]], mistake: str) -> None:
    with pytest.raises(TypeError, match=mistake):
        _requesting(*(RequestType(*one) for one in requests))


class Priced(msgspec.Struct):
    price: Annotated[float, Meta(multiple_of=0.01)] = 0.0


class Basket(msgspec.Struct):
    baskets: list["Basket"] = []
    prices: dict[str, Priced] = {}


class Whole(msgspec.Struct):
    most: Annotated[int, Meta(le=9007199254740993)] = 0
    step: Annotated[float, Meta(multiple_of=5)] = 0.0
    price: Annotated[float, Meta(extra_json_schema={"multipleOf": 0.01})] = 0.0


def test_a_step_that_is_no_binary_fraction_is_left_to_the_master() -> None:
    for kind in (Priced, Basket):
        with pytest.raises(
            TypeError, match=r'multiple_of=0.01 .* write Meta\(extra_json_schema={"multipleOf": 0.01}\)'
        ):
            Type("x", kind, Publication, lambda parameters, context: Plan())


class Waiting(msgspec.Struct):
    name: Annotated[str, Meta(pattern="^(a+)+$")] = "a"


class Shelf(msgspec.Struct):
    by_name: dict[str, Waiting] = {}


class Named(msgspec.Struct):
    name: Annotated[str, Meta(extra_json_schema={"pattern": "^(a+)+$"})] = "a"


def test_a_pattern_is_left_to_the_master_whose_engine_takes_linear_time() -> None:
    for kind in (Waiting, Shelf):
        with pytest.raises(TypeError, match=r'pattern=.* write Meta\(extra_json_schema={"pattern": '):
            Type("x", kind, Publication, lambda parameters, context: Plan())
    release = Release("x", "1", "", {"default": Type("x", Named, Publication, lambda parameters, context: Plan())})
    assert schema(Named, "x")["properties"]["name"]["pattern"] == "^(a+)+$", "the Master is told"
    began = time.monotonic()
    make_plan(release, "default", b'{"name": "%s!"}' % (b"a" * 60), CONTEXT)
    assert time.monotonic() - began < 1, "the node does not match it again"


def test_a_node_takes_and_refuses_the_same_large_numbers_as_its_master() -> None:
    release = Release("x", "1", "", {"default": Type("x", Whole, Publication, lambda parameters, context: Plan())})
    make_plan(release, "default", b'{"most": 9007199254740993, "step": 10, "price": 19.99}', CONTEXT)
    with pytest.raises(ReleaseError, match="<= 9007199254740993"):
        make_plan(release, "default", b'{"most": 9007199254740994}', CONTEXT)


def test_a_network_says_ports_and_ranges() -> None:
    network = Network(listen=(8080, "53/udp", "20000-20002", "9000-9001/udp"), internal=("8888",))
    assert network.ports("tcp") == [8080, 20000, 20001, 20002]
    assert network.ports("udp") == [53, 9000, 9001]
    assert (network.ports("tcp", internal=True), network.ports("udp", internal=True)) == ([8888], [])


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"listen": ("9-8",)}, "must hold ports"),
        ({"listen": ("0-5",)}, "must hold ports"),
        ({"listen": ("65000-65536",)}, "must hold ports"),
        ({"listen": ("80-90-100",)}, "must hold ports"),
        ({"internal": ("http",)}, "Network: internal must hold ports"),
        ({"listen": ("1000-2000",)}, "at most 1000 ports of tcp"),
        ({"listen": ("80-90",), "internal": (85,)}, "not 85 in both"),
    ],
)
def test_what_is_no_port_is_refused(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Network(**declared)
