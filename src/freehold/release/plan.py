"""What `instance.py` is made of: a release, its types, and for each a pure function to a plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from freehold.promises import KINDS, Promise
from freehold.promises.bounds import check_fields
from freehold.protocol import UNREADABLE
from freehold.protocol.descriptor import MOST_REQUEST_TYPES, MOST_REQUESTS
from freehold.protocol.size import UNNAMED, Size
from freehold.release.context import Context, Shared
from freehold.release.errors import ReleaseError, kind_of, mistake, must_be, must_be_size, must_hold
from freehold.release.parts import (
    Certificate,
    Cluster,
    File,
    Job,
    LogRotation,
    Network,
    Process,
    Refusal,
    Request,
    Task,
)

_S = TypeVar("_S", bound=msgspec.Struct)


@dataclass(frozen=True)
class Plan:
    """Everything that an instance is: compared with what is there, and only the difference is done."""

    processes: tuple[Process, ...] = ()
    tasks: tuple[Task, ...] = ()
    jobs: tuple[Job, ...] = ()
    files: tuple[File, ...] = ()
    directories: tuple[str, ...] = ()
    """Relative to the partition's folder; kept with what is in them."""
    certificates: tuple[Certificate, ...] = ()
    logs: tuple[LogRotation, ...] = ()
    network: Network | None = None
    """Where it listens and connects; None: as it likes."""
    requests: tuple[Request, ...] = ()
    """All the instances that this one requests. The instance is not ready before each returned what it must."""
    clusters: tuple[Cluster, ...] = ()
    """Instances that it requests together, and that are changed one at a time."""
    leave: tuple[Task, ...] = ()
    """Of a member of a cluster: run when it is one too many, before it stops for good. While it leaves, these and the
    other tasks are all that it promises."""
    promises: dict[str, Promise] = field(default_factory=dict)
    """Checks by name: the instance is ready when each was kept."""
    publication: msgspec.Struct | None = None
    """What the requester gets back."""
    shared: Mapping[str, msgspec.Struct | Refusal] = field(default_factory=dict)
    """What each shared instance gets back, by its id, or why it cannot be served."""

    @property
    def only_requests(self) -> bool:
        """Whether it says nothing but what the instance requests: the rest is not known before that is there."""
        return self == Plan(requests=self.requests, clusters=self.clusters)

    def __post_init__(self) -> None:
        for name, kind in (
            ("processes", Process),
            ("tasks", Task),
            ("jobs", Job),
            ("files", File),
            ("directories", str),
            ("certificates", Certificate),
            ("logs", LogRotation),
            ("requests", Request),
            ("clusters", Cluster),
            ("leave", Task),
        ):
            must_be((tuple, list), f"Plan: {name}", getattr(self, name))
            must_hold(kind, f"Plan: {name}", getattr(self, name))
        must_be(dict, "Plan: promises", self.promises)
        for name, promise in self.promises.items():
            must_be(str, "Plan: name of a promise", name)
            # A node writes it as a plug-in file that imports its class.
            if type(promise) not in KINDS:
                raise TypeError(f"Plan: promise '{name}' must be one of freehold.promises, not {promise!r}")
            try:
                check_fields(promise)
            except ValueError as error:
                raise TypeError(f"Plan: promise '{name}': {error}") from None
        must_be((Network, type(None)), "Plan: network", self.network)
        must_be((msgspec.Struct, type(None)), "Plan: publication", self.publication)
        must_be(Mapping, "Plan: shared", self.shared)
        for instance, answer in self.shared.items():
            must_be((msgspec.Struct, Refusal), f"Plan: shared '{instance}'", answer)


@dataclass(frozen=True)
class RequestType:
    """Other instances that the instances of a type may request as parts of themselves (`Plan.requests`).

    A Master refuses what no `RequestType` allows. Parts are covered by what the whole is offered at.
    """

    product: str
    type: str = "default"
    shared: bool = False
    """They have no partition of their own: they live on an instance that serves them."""
    number: int | str = 1
    """How many: a number, or the name of an integer parameter that says it."""
    apart: Literal["node", "site"] | None = None
    """No two of them are on one node, or on nodes of one site. An order for which there are not so many is refused."""

    def __post_init__(self) -> None:
        must_be(str, "RequestType: product", self.product)
        subject = f"RequestType '{self.product}':"
        must_be(str, f"{subject} type", self.type)
        must_be(bool, f"{subject} shared", self.shared)
        must_be((int, str), f"{subject} number", self.number)
        if self.apart not in (None, "node", "site"):
            raise TypeError(f"{subject} apart must be 'node', 'site' or None, not {self.apart!r}")
        if self.apart and self.shared:
            raise TypeError(f"{subject} shared instances are where their host is: they cannot be apart")
        if isinstance(self.number, int) and not 1 <= self.number <= MOST_REQUESTS:
            raise TypeError(f"{subject} number must be 1 to {MOST_REQUESTS}, or a parameter's name, not {self.number}")

    def allows(self, request: Request | Cluster) -> bool:
        """Whether a request is of this kind."""
        return (request.product, request.type) == (self.product, self.type)


@dataclass(frozen=True)
class Type:
    """One flavour of a release: its parameters and publication (msgspec structs) and its plan."""

    title: str
    parameters: type[msgspec.Struct]
    publication: type[msgspec.Struct]
    plan: Callable[[Any, Context], Plan]
    description: str = ""
    weight: int = 1
    """How much of a node's capacity an instance takes."""
    holds_data: bool = True
    """False: what is in its partition can be made again from parameters, so it may move to another node by itself."""
    requests: tuple[RequestType, ...] = ()
    """What its plan may request of others."""
    orderable: bool = True
    """False: it is a part of others, which request it; customers neither see nor order it by itself."""
    peers: bool = False
    """The plan is told of the others of its tree (`Context.peers`), and made anew when they are others; the names of
    these lead to their addresses, and `Network.internal` lets them in."""
    size: Size = UNNAMED
    """What an instance may use, unless its offer, order or request says otherwise; its node keeps it for it."""

    def __post_init__(self) -> None:
        _check_structs("Type", self.parameters, self.publication)
        _check_rules("Type: parameters", self.parameters)
        must_be((tuple, list), "Type: requests", self.requests)
        must_hold(RequestType, "Type: requests", self.requests)
        must_be(bool, "Type: orderable", self.orderable)
        must_be(bool, "Type: peers", self.peers)
        must_be_size("Type: size", self.size)
        kinds = [(request.product, request.type) for request in self.requests]
        if len(set(kinds)) < len(kinds) or len(kinds) > MOST_REQUEST_TYPES:
            raise TypeError(f"Type: requests must name each product and type once, and at most {MOST_REQUEST_TYPES}")
        parameters = {field.encode_name: field.type for field in msgspec.structs.fields(self.parameters)}
        for request in self.requests:
            if isinstance(request.number, str) and not _is_integer(parameters.get(request.number)):
                raise TypeError(
                    f"RequestType '{request.product}': number names '{request.number}', which is no integer parameter"
                )
        if not callable(self.plan):
            raise TypeError(f"Type: plan must be a function, not {self.plan!r}")


@dataclass(frozen=True)
class SharedType:
    """A flavour whose instances have no partition of their own: an instance of type `host` serves many of them.

    They reach the host's plan as `Context.shared`; it answers each in `Plan.shared`.
    """

    title: str
    parameters: type[msgspec.Struct]
    publication: type[msgspec.Struct]
    host: str = "default"
    description: str = ""

    def __post_init__(self) -> None:
        _check_structs("SharedType", self.parameters, self.publication)
        _check_rules("SharedType: parameters", self.parameters)


@dataclass(frozen=True)
class Release:
    """A release: name it `release` in `instance.py`."""

    name: str
    version: str
    description: str
    types: dict[str, Type | SharedType]
    """By name; the type ordered when none is named is `default`."""
    goes_back: bool = True
    """False: an older version does not understand what this one makes of an instance's data, so no instance that has
    this one goes back to it."""

    def __post_init__(self) -> None:
        for name, kind in self.types.items():
            if isinstance(kind, SharedType) and not isinstance(self.types.get(kind.host), Type):
                raise TypeError(
                    f"Release: the shared type '{name}' names the host '{kind.host}', which is no Type here"
                )


@dataclass(frozen=True)
class SharedSpec:
    """A shared instance as a node knows it, with its parameters in JSON."""

    instance: str
    type: str
    parameters: bytes
    state: str
    seed: str


def make_plan(
    release: Release, type_name: str, parameters: bytes, context: Context, shared: tuple[SharedSpec, ...] = ()
) -> Plan:
    """Return the plan of an instance from its parameters as JSON; raise ReleaseError saying what is wrong.

    A shared instance whose parameters do not fit is refused in the plan's `shared`; the others are not disturbed.
    """
    chosen = release.types.get(type_name)
    if not isinstance(chosen, Type):
        raise ReleaseError(f"{release.name} {release.version} has no type '{type_name}' that has a plan.")
    values = _decode(parameters, chosen.parameters, "The parameters")
    guests, refused = _guests(release, shared)
    try:
        plan = chosen.plan(values, replace(context, shared=(*context.shared, *guests)))
        if not isinstance(plan, Plan):
            raise ReleaseError(f"{_where(chosen.plan)} returns {kind_of(plan)}, not a Plan.")
    except ReleaseError:
        raise
    except Exception as error:
        raise mistake(error) from error
    known = {spec.instance for spec in shared} | {guest.instance for guest in context.shared}
    for instance in plan.shared:
        if instance not in known:
            raise ReleaseError(f"The plan answers '{instance}', which is no shared instance of this one.")
    _check(plan)
    if plan.network and plan.network.internal and not chosen.peers:
        raise ReleaseError(f"The plan has internal ports: type '{type_name}' must say peers=True.")
    return replace(plan, shared={**plan.shared, **refused})


def _guests(release: Release, specs: tuple[SharedSpec, ...]) -> tuple[list[Shared], dict[str, Refusal]]:
    guests, refused = [], {}
    for spec in specs:
        kind = release.types.get(spec.type)
        if not isinstance(kind, SharedType):
            refused[spec.instance] = Refusal(f"{release.name} {release.version} has no shared type '{spec.type}'.")
            continue
        try:
            values = _decode(spec.parameters, kind.parameters, "The parameters")
        except ReleaseError as error:
            refused[spec.instance] = Refusal(str(error))
            continue
        state: Any = spec.state
        guests.append(Shared(spec.instance, spec.type, values, state, spec.seed))
    return guests, refused


def _decode(text: bytes, kind: type[_S], subject: str) -> _S:
    try:
        return msgspec.json.decode(text, type=kind)
    except UNREADABLE as error:
        raise ReleaseError(f"{subject} do not fit: {error}") from None


def _check(plan: Plan) -> None:
    """Raise ReleaseError for parts that cannot stand together."""
    programs = [*plan.processes, *plan.tasks, *plan.jobs, *plan.leave]
    names = [program.name for program in (*plan.processes, *plan.tasks, *plan.leave)]
    jobs = [job.name for job in plan.jobs]
    certificates = [certificate.name for certificate in plan.certificates]
    for name in [*names, *jobs, *certificates, *plan.promises]:
        if not name or "/" in name or "\0" in name or name.startswith("."):
            raise ReleaseError(f"{name!r} cannot be the name of a process, task, job, certificate or promise.")
    if plan.jobs and "jobs" in names:
        raise ReleaseError("A process cannot be called 'jobs' beside jobs: their timer is called so.")
    paths = [file.path for file in plan.files]
    for path in [*paths, *plan.directories, *(log.path for log in plan.logs)]:
        parts = Path(path).parts
        if not parts or Path(path).is_absolute() or ".." in parts or "\0" in path or parts[0] == ".freehold":
            raise ReleaseError(f"{path!r} is not a path inside the partition.")
    requested = [request.title for request in plan.requests]
    requested += [title for cluster in plan.clusters for title in cluster.titles]
    for kind, all_of in (
        ("process or task", names),
        ("job", jobs),
        ("certificate", certificates),
        ("request", requested),
        ("cluster", [cluster.name for cluster in plan.clusters]),
        ("file", [Path(path).as_posix() for path in paths]),
    ):
        twice = sorted({name for name in all_of if all_of.count(name) > 1})
        if twice:
            raise ReleaseError(f"The plan has two of the {kind} '{twice[0]}'.")
    _check_places(plan)
    for process in plan.processes:
        if plan.network and isinstance(process.ready, int) and process.ready not in (0, *_open(plan.network)):
            raise ReleaseError(f"'{process.name}' is ready at port {process.ready}, where the plan does not listen.")
    for program in programs:
        for part in (*program.reads, *(program.reloads if isinstance(program, Process) else ())):
            if isinstance(part, File) and part not in plan.files:
                raise ReleaseError(f"'{program.name}' reads '{part.path}', which the plan does not write.")
            if isinstance(part, Certificate) and part not in plan.certificates:
                raise ReleaseError(
                    f"'{program.name}' reads the certificate '{part.name}', which the plan does not have."
                )
        for predecessor in program.after:
            if predecessor not in (*plan.tasks, *plan.processes, *(plan.leave if program in plan.leave else ())):
                kind = type(predecessor).__name__.lower()
                raise ReleaseError(
                    f"'{program.name}' comes after the {kind} '{predecessor.name}', which the plan does not have."
                )


def _check_places(plan: Plan) -> None:
    """See that no file stands where something else must stand."""
    written = {Path(file.path) for file in plan.files}
    services = {Path("etc/service", process.name) for process in plan.processes}
    services |= {Path("etc/run", task.name) for task in (*plan.tasks, *plan.leave)}
    services |= {Path("etc/plugin", f"{name}.py") for name in plan.promises}
    services |= {Path(path) for certificate in plan.certificates for path in (certificate.path, certificate.key)}
    folders = {Path(path) for path in plan.directories}
    folders |= {parent for path in [*written, *services, *folders] for parent in path.parents}
    for path in sorted((written & services) | ((written | services) & folders)):
        raise ReleaseError(f"The plan puts two things at '{path}'.")


def _open(network: Network) -> list[int]:
    return [*network.ports("tcp"), *network.ports("tcp", internal=True)]


def _is_integer(kind: object) -> bool:
    """Whether the annotation of a parameter is of a whole number."""
    # Of Annotated[int, …] the origin is int.
    return kind is int or getattr(kind, "__origin__", None) is int


def _check_structs(subject: str, parameters: object, publication: object) -> None:
    for name, kind in (("parameters", parameters), ("publication", publication)):
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            raise TypeError(f"{subject}: {name} must be a msgspec.Struct class, not {kind!r}")


def _check_rules(subject: str, struct: type[msgspec.Struct]) -> None:
    """Raise TypeError for rules that a node would test otherwise than the Master.

    19.99 is a multiple of 0.01 for the Master, and for no binary fraction; and Python's engine means another thing by
    some patterns, and may need longer than the world stands for others.
    """
    waiting, seen = [msgspec.inspect.type_info(struct)], set[int]()
    while waiting:
        kind = waiting.pop()
        if id(kind) in seen:
            continue
        seen.add(id(kind))
        step = getattr(kind, "multiple_of", None)
        if isinstance(step, float) and not step.is_integer():
            raise TypeError(
                f"{subject}: multiple_of={step} of {struct.__name__} would be tested in binary fractions; "
                f'write Meta(extra_json_schema={{"multipleOf": {step}}}), which the Master tests exactly'
            )
        pattern = getattr(kind, "pattern", None)
        if isinstance(pattern, str):
            raise TypeError(
                f"{subject}: pattern={pattern!r} of {struct.__name__} would be matched by Python, in any time; "
                f'write Meta(extra_json_schema={{"pattern": {pattern!r}}}), which the Master matches in linear time'
            )
        for name in kind.__struct_fields__:
            values = getattr(kind, name)
            waiting += [
                item.type if isinstance(item, msgspec.inspect.Field) else item
                for item in (values if isinstance(values, tuple) else (values,))
                if isinstance(item, msgspec.inspect.Type | msgspec.inspect.Field)
            ]


def _where(function: object) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}, line {code.co_firstlineno}: {code.co_name}" if code else repr(function)
