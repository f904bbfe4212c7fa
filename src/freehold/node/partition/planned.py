"""Making a partition what the typed plan of `instance.py` says; what is as planned already is not touched."""

import json
import secrets
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import msgspec

from freehold.node.isolation.firewall import FirewallNetwork
from freehold.node.partition import certificates, layout, ready, timer
from freehold.node.partition.files import write
from freehold.node.partition.layout import ChildCluster, ChildRequest, Outcome, Served
from freehold.node.partition.order import ConfigureOrder
from freehold.node.partition.visible import host_name
from freehold.promises import CertificateValid, JobRan, Promise, TaskDone, source
from freehold.protocol import JOB_PROMISE
from freehold.protocol.feed import WantedMembership
from freehold.release import (
    Cluster,
    ClusterView,
    Context,
    Job,
    Peer,
    Plan,
    Process,
    Refusal,
    Release,
    Request,
    Sibling,
    Task,
    make_plan,
)
from freehold.release import Network as Declared
from freehold.release.folder import load
from freehold.release.plan import SharedSpec

TASKS, JOBS, READY = f"{layout.OURS}/tasks", f"{layout.OURS}/jobs", f"{layout.OURS}/ready.py"
_SEED, _PORTS, _PLANNED = f"{layout.OURS}/seed", f"{layout.OURS}/ports.json", f"{layout.OURS}/planned.json"
_EXPIRY_DAYS = 7.0


def run(order: ConfigureOrder, folder: Path, release: Path) -> Outcome:
    """Make the plan of an order and apply it; raise ReleaseError when the plan is wrong, having changed nothing."""
    context, loaded = _context(order, folder, release), load(release)
    plan, renew_at = _make(order, folder, loaded, context)
    write(folder / _PORTS, json.dumps(context.ports).encode(), 0o600)
    requested = _requested(plan, loaded, context)
    if requested.missing and plan.only_requests:
        return msgspec.structs.replace(requested, keeps=True)
    if context.cluster is not None and context.cluster.leaving:
        # What it serves ends: only that it leaves is promised.
        plan = replace(plan, tasks=(*plan.tasks, *plan.leave), promises={})
    _apply(folder, plan, context, order.runs)
    return msgspec.structs.replace(
        requested,
        served={guest.instance: _served(plan, guest.instance) for guest in order.guests},
        logs=[layout.Rotation(log.path, int(log.megabytes * 1024 * 1024), log.keep) for log in plan.logs],
        attested=bool(plan.promises),
        network=_network(plan.network),
        renew_at=renew_at,
    )


def _requested(plan: Plan, release: Release, context: Context) -> Outcome:
    """Return what the plan requests of others. What is of the release's own product has its version."""

    def spec(part: Request | Cluster) -> dict[str, object]:
        return {**({"release": release.version} if part.product == release.name else {}), **part.spec()}

    parts: tuple[tuple[str, Request | Cluster], ...] = (
        *((part.title, part) for part in plan.requests),
        *((part.name, part) for part in plan.clusters),
    )
    return Outcome(
        requests=[ChildRequest(request.title, spec(request)) for request in plan.requests],
        missing=[title for title, part in parts if context.returned(part) is None],
        clusters=[
            ChildCluster(
                cluster.name,
                spec(cluster),
                cluster.count,
                cluster.most_down,
                float(cluster.ready_within),
                float(cluster.leave_within),
                list(cluster.shares),
            )
            for cluster in plan.clusters
        ],
        await_ready=[title for title, part in parts if part.ready],
    )


def _make(order: ConfigureOrder, folder: Path, loaded: Release, context: Context) -> tuple[Plan, float | None]:
    """Return the plan, and when a certificate of it must be renewed."""
    guests = tuple(
        SharedSpec(guest.instance, guest.type, guest.parameters.encode(), guest.wanted, guest.seed)
        for guest in order.guests
    )
    plan = make_plan(loaded, order.type, order.parameters.encode(), context, guests)
    if not plan.certificates:
        return plan, None
    certificates_made = {
        certificate.name: certificates.ensure(folder, certificate, context.cluster) for certificate in plan.certificates
    }
    known = dict(context.certificates)
    assert isinstance(context.certificates, dict)
    context.certificates.update({name: pem for name, (pem, _) in certificates_made.items()})
    if context.certificates != known:
        # What it publishes may hold a certificate that was not there before.
        plan = make_plan(loaded, order.type, order.parameters.encode(), context, guests)
    return plan, min(moment for _, moment in certificates_made.values())


def _context(order: ConfigureOrder, folder: Path, release: Path) -> Context:
    seed = folder / _SEED
    if not seed.exists():
        write(seed, secrets.token_hex(32).encode(), 0o600)
    ports = folder / _PORTS
    present = folder / "etc" / "certificate"
    return Context(
        instance=order.instance,
        title=order.title,
        type=order.type,
        address=order.address,
        partition=folder,
        software=Path(order.software),
        release=release,
        child_publications=json.loads(order.child_publications),
        seed=seed.read_text(),
        surviving_seed=order.seed,
        ports=json.loads(ports.read_text()) if ports.exists() else {},
        certificates={path.stem: path.read_text() for path in present.glob("*.pem")},
        cluster=_cluster_view(order.cluster),
        peers=tuple(Peer(peer.title, host_name(peer.title), peer.address) for peer in order.peers),
        size=order.size,
    )


def _cluster_view(text: str) -> ClusterView | None:
    if text == "{}":
        return None
    known = msgspec.json.decode(text, type=WantedMembership)
    members = tuple(
        Sibling(
            member.ordinal, member.title, member.address, member.node, member.site, json.loads(bytes(member.published))
        )
        for member in known.members
    )
    return ClusterView(known.name, known.ordinal, members, known.leaving, known.secret)


def _apply(folder: Path, plan: Plan, context: Context, runs: dict[str, str]) -> None:
    for directory in plan.directories:
        (folder / directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    promises: dict[str, Promise] = dict(plan.promises)
    kept = {part.path for part in plan.files}
    for file in plan.files:
        write(folder / file.path, file.data, file.mode)
    for certificate in plan.certificates:
        kept |= {certificate.path, certificate.key}
        promises[f"certificate-{certificate.name}"] = CertificateValid(str(folder / certificate.path), _EXPIRY_DAYS)
    if any(isinstance(each, Process) and each.ready for program in _programs(plan) for each in program.after):
        write(folder / READY, Path(ready.__file__).read_bytes(), 0o600)
        kept.add(READY)
    for process in plan.processes:
        kept.add(_executable(folder, f"{layout.SERVICE}/{process.name}", program(process, context)))
    for task in plan.tasks:
        kept.add(_executable(folder, f"{layout.RUN}/{task.name}", program(task, context)))
        digest = task.digest(context.certificates)
        log = str(folder / layout.LOG / f"{task.name}.log")
        promises[f"{layout.TASK_PROMISE}{task.name}"] = TaskDone(str(folder / TASKS / task.name), digest, log)
    (folder / TASKS).mkdir(mode=0o700, exist_ok=True)
    if plan.jobs:
        kept |= _plan_jobs(folder, plan.jobs, context, promises, runs)
    for name, promise in promises.items():
        path = f"{layout.PLUGIN}/{name}.py"
        write(folder / path, source(promise).encode(), 0o600)
        kept.add(path)
    published = {} if plan.publication is None else msgspec.to_builtins(plan.publication)
    write(folder / layout.PUBLISHED, json.dumps(published).encode(), 0o600)
    _remove_others(folder, kept)


def _programs(plan: Plan) -> tuple[Process | Task | Job, ...]:
    return (*plan.processes, *plan.tasks, *plan.jobs)


def _plan_jobs(
    folder: Path, jobs: tuple[Job, ...], context: Context, promises: dict[str, Promise], runs: dict[str, str]
) -> set[str]:
    """Write the jobs and their timer; the timer reads the list anew when it changes, so it is not restarted."""
    kept = {f"{JOBS}/jobs.json", f"{JOBS}/timer.py"}
    for job in jobs:
        kept.add(_executable(folder, f"{JOBS}/{job.name}", program(job, context)))
        log = str(folder / layout.LOG / f"job-{job.name}.log")
        promises[f"{JOB_PROMISE}{job.name}"] = JobRan(
            str(folder / JOBS / f"{job.name}.json"), log, job.every or timer.DAY, job.timeout
        )
    rows = [
        {
            "name": job.name,
            "every": job.every,
            "daily": job.daily,
            "timeout": job.timeout,
            "run": runs.get(job.name, ""),
        }
        for job in jobs
    ]
    write(folder / JOBS / "timer.py", Path(timer.__file__).read_bytes(), 0o600)
    write(folder / JOBS / "jobs.json", json.dumps(rows).encode(), 0o600)
    argv = (sys.executable, "-I", "-S", folder / JOBS / "timer.py", folder / JOBS)
    return kept | {_executable(folder, f"{layout.SERVICE}/jobs", program(Process("jobs", argv), context))}


def _executable(folder: Path, path: str, content: bytes) -> str:
    write(folder / path, content, 0o700)
    return path


def program(part: Process | Task | Job, context: Context) -> bytes:
    """Return the executable that starts a process, task or job; its text changes whenever a restart is due."""
    digest = part.digest(context.certificates)
    lines = ["#!/bin/sh", f"# digest: {digest}"]
    if isinstance(part, Process):
        former = [each.name for each in part.after if isinstance(each, Process)]
        supervised = layout.Supervised(former, float(part.stop_timeout))
        if part.stop_signal != "TERM":
            supervised = msgspec.structs.replace(supervised, stop_signal=part.stop_signal)
        if supervised != layout.Supervised():
            lines.append(f"# supervised: {msgspec.json.encode(supervised).decode()}")
        if (changed := _changed(part, context)) != layout.Replacement():
            lines.append(f"# changed: {msgspec.json.encode(changed).decode()}")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(part.environment.items())]
    for each in part.after:
        if isinstance(each, Task):
            done = shlex.quote(f"{each.digest(context.certificates)} 0")
            where = shlex.quote(str(context.partition / TASKS / each.name))
            lines.append(f"until grep -qx {done} {where} 2>/dev/null; do sleep 0.1; done")
        elif each.ready:
            target = (context.address, str(each.ready)) if isinstance(each.ready, int) else (each.ready,)
            command = (sys.executable, "-I", "-S", str(context.partition / READY), *target)
            lines.append(f"{shlex.join(command)} || exit")
    words = " ".join(shlex.quote(str(part)) for part in part.argv)
    if isinstance(part, Task):
        note = shlex.quote(str(context.partition / TASKS / part.name))
        lines += [
            words,
            "status=$?",
            f'echo "{digest} $status" > {note}.new',
            f"mv {note}.new {note}",
            "exit $status",
        ]
    else:
        lines.append(f"exec {words}")
    return ("\n".join(lines) + "\n").encode()


def _changed(part: Process, context: Context) -> layout.Replacement:
    """Return how one that runs is changed into this one: after all tasks that it comes after, near or far."""
    before: list[Task | Process] = list(part.after)
    awaits: list[str] = []
    while before:
        each = before.pop()
        before += each.after
        if isinstance(each, Task) and each.name not in awaits:
            awaits.append(each.name)
    digest = part.reload_digest(context.certificates) if part.reloads else ""
    return layout.Replacement(sorted(awaits), part.reload_signal if part.reloads else "HUP", digest)  # type: ignore[arg-type]


def _network(declared: Declared | None) -> FirewallNetwork | None:
    if declared is None:
        return None
    connect = None if declared.connect is None else list(declared.connect)
    return FirewallNetwork(
        declared.ports("tcp"),
        declared.ports("udp"),
        connect,
        declared.ports("tcp", internal=True),
        declared.ports("udp", internal=True),
    )


def _served(plan: Plan, instance: str) -> Served:
    answer = plan.shared.get(instance)
    if answer is None:
        return Served(error="The release of its host does not answer it.")
    if isinstance(answer, Refusal):
        return Served(error=answer.message)
    return Served(published=msgspec.to_builtins(answer))


def _remove_others(folder: Path, kept: set[str]) -> None:
    """Remove what an earlier plan wrote and this one does not."""
    record = folder / _PLANNED
    earlier = set(json.loads(record.read_text())) if record.exists() else set()
    write(record, json.dumps(sorted(earlier | kept)).encode(), 0o600)
    for path in earlier - kept:
        (folder / path).unlink(missing_ok=True)
    write(record, json.dumps(sorted(kept)).encode(), 0o600)
