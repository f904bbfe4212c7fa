"""What the agent does to partitions: configure, start, stop, destroy. Each may be repeated without harm."""

import json
import logging
import math
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from freehold.failpoints import failpoint
from freehold.node import plan as planning
from freehold.node.errors import ConfigureError, HostError, LinkDown, LinkError, NodeError
from freehold.node.forkserver import ForkServerError, Interrupt
from freehold.node.host.trees import empty
from freehold.node.instances import processes, reading
from freehold.node.isolation.firewall import FirewallNetwork
from freehold.node.link import keys
from freehold.node.partition import gate, logs
from freehold.node.partition import layout as layouts
from freehold.node.partition.destroy import PRERM_TIMEOUT
from freehold.node.partition.layout import Layout
from freehold.node.partition.log_reading import PartitionLog
from freehold.node.parts import EnclosuresPart, ForkServerPart, PromisesPart, SupervisorPart
from freehold.node.promises import Watch
from freehold.node.services import Services
from freehold.node.settings import PartitionSlot, Paths, Settings
from freehold.node.state.instances import DesiredInstance
from freehold.node.state.store import Store
from freehold.node.upstream import Upstream
from freehold.protocol import UNREADABLE
from freehold.protocol.enrol import CertificateAnswer, CertificateRequest
from freehold.protocol.states import Observed, Wanted
from freehold.protocol.stream import StreamRequest

CONFIGURE_TIMEOUT, ASK_TIMEOUT, IDENTITY_TIMEOUT, ROTATE_TIMEOUT = 600.0, 120.0, 15.0, 20.0
"""Seconds for the whole of what a partition's code does for us."""
STOP_SECONDS = 180.0
"""So long all services of an instance together may take to end, whatever they ask for."""
DESTROY_SECONDS = 10.0
"""So long when the instance is destroyed, and nothing that they write is kept."""
_log = logging.getLogger(__name__)


class InstanceLifecycle:
    """The verbs of partitions."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        store: Store,
        supervisor: SupervisorPart,
        fork_server: ForkServerPart,
        promises: PromisesPart,
        enclosures: EnclosuresPart,
    ) -> None:
        self._paths = paths
        self.enclosures = enclosures
        self._slots = {slot.name: slot for slot in settings.slots}
        self._store = store
        self._supervisor = supervisor
        self._fork_server = fork_server
        self._promises = promises
        self.services = Services(store.instances, store.results, store.clock, promises)
        self._identifying = defaultdict[str, threading.Lock](threading.Lock)
        """By partition: two at once would make two keys, and the certificate of one would stand beside the other."""
        self._interrupts: dict[str, Interrupt] = {}
        """By instance: what ends the work that its own code does for us now."""

    def restore_running(self) -> None:
        """Have everything run that ran by what the store knows: after a start of the machine, without a Master."""
        started = [
            (self._slots[desired.partition], desired)
            for desired in self._store.instances.started()
            if desired.partition in self._slots
        ]
        self._admit([(slot, desired.layout.outcome.network) for slot, desired in started])
        for slot, desired in started:
            if desired.layout.services or desired.layout.runs:
                try:
                    self._resume(slot, desired)
                except (NodeError, OSError):
                    # Its neighbours run on.
                    _log.exception("%s cannot be started again", desired.instance)

    def _admit(self, slots: list[tuple[PartitionSlot, FirewallNetwork | None]]) -> None:
        """Have the firewall admit these partitions: all at once, or as many as it takes, one by one."""
        try:
            self.enclosures.admit(slots)
            return
        except HostError as error:
            _log.error("%s", error)
        for pair in slots:
            try:
                self.enclosures.admit([pair])
            except HostError as error:
                _log.error("%s", error)

    def wait(self, instance: str) -> None:
        """Note that an instance waits for its release."""
        desired = self._store.instances.desired(instance)
        if desired is not None:
            self._store.instances.record_state(instance, desired.revision, Observed.WAITING)

    def configure(self, instance: str) -> bool:
        """Configure an instance as now wanted and start what must run; return whether it succeeded."""
        with self._interruptible(instance) as interrupt:
            # Read after `interrupt` can find us: what is wanted later than this ends us.
            desired = self._store.instances.desired(instance)
            if desired is None or desired.wanted is not Wanted.STARTED:
                return False
            return self._configure(desired, interrupt)

    def _configure(self, desired: DesiredInstance, interrupt: Interrupt) -> bool:
        instance = desired.instance
        try:
            slot = self._slot(desired)
            if desired.state is Observed.FAILED and (why := self.enclosures.held_back(slot)):
                raise ConfigureError(why)
            if not self.enclosures.tenant(slot):
                self._store.counters.begin(instance)
            self.enclosures.occupy(slot, instance, is_new=desired.state is None)
            self.enclosures.open(slot)
            # What it may not reach later, it does not reach while it is configured.
            self.enclosures.admit([(slot, desired.layout.outcome.network)])
            layout = layouts.after(desired.layout, self._configured(desired, slot, interrupt))
            failpoint("instance-configured")
            self.enclosures.admit([(slot, layout.outcome.network)])
            self._run(slot, desired, layout)
            failpoint("instance-applied")
        except Exception as error:
            if interrupt.is_set:
                _log.info("the configuration of %s was interrupted: something else is wanted of it", instance)
            else:
                self._configuration_failed(desired, error)
            return False
        missing = ", ".join(f"'{title}'" for title in layout.outcome.missing)
        self._store.instances.record_state(
            instance,
            desired.revision,
            Observed.CONFIGURING if missing else Observed.STARTED,
            message=f"It waits for what {missing} publishes." if missing else "",
            layout=layout,
        )
        failpoint("instance-started")
        self._watch(desired, desired.revision, layout)
        if (configured := self._store.instances.desired(instance)) is not None:
            # What it runs may have settled before the line above.
            self.services.tell(configured)
        return True

    def _run(self, slot: PartitionSlot, desired: DesiredInstance, layout: Layout) -> None:
        """Have an instance's processes run in its container; while it waits for another, what runs goes on."""
        if self.enclosures.tenant(slot) != desired.instance:
            # Of a store that was put back from an older copy: it was ended since, and its files are gone.
            raise HostError(f"{slot.name} is not of {desired.instance} any more.")
        self.enclosures.open(slot)
        ordered = processes.of_layout(self._folder(slot), slot, desired, layout, self.enclosures)
        waits = bool(layout.outcome.missing)
        until, recall = self._until(desired), self.services.recall
        versions = self._supervisor.apply(desired.partition, ordered, until=until, patient=waits, on_event=recall)
        self.services.expect(desired.partition, versions)

    def _resume(self, slot: PartitionSlot, desired: DesiredInstance) -> None:
        """Have an instance run again as it was last configured, and be watched."""
        self._run(slot, desired, desired.layout)
        self._watch(desired, desired.state_revision, desired.layout)
        self.services.tell(desired)

    def closed(self) -> list[str]:
        """Return the instances that run, by what the store knows, and whose container is gone."""
        # Looked at every few seconds: nothing but the names is read.
        return [
            instance
            for instance, partition in self._store.instances.started_partitions().items()
            if partition in self._slots and not self.enclosures.is_open(self._slots[partition])
        ]

    def reopen(self, instance: str) -> None:
        """Make an instance's container anew, with what runs in it."""
        desired = self._store.instances.desired(instance)
        if desired is None or desired.state not in (Observed.STARTED, Observed.CONFIGURING):
            return
        slot = self._slots[desired.partition]
        if self.enclosures.is_open(slot):
            return
        _log.warning("the container of %s is gone; it is made anew", slot.name)
        try:
            self._resume(slot, desired)
        except NodeError as error:
            _log.error("%s does not run: %s", desired.instance, error)

    def _configuration_failed(self, desired: DesiredInstance, error: Exception) -> None:
        """Tell the customer why; words of strangers stay out of our log, and those of root's programs stay in it."""
        attempts, words = desired.attempts + 1, str(error)
        why = "see `freehold node status`"
        if not isinstance(error, ConfigureError | ForkServerError):
            why = f"{_kind(error)}: {error}"
            words = f"The node could not set up what it needs; its operator finds why in its log ({_kind(error)})."
            if not isinstance(error, NodeError):
                _log.exception("an error of the node itself")
        _log.warning("%s cannot be configured (try %s): %s", desired.instance, attempts, why)
        next_try = self._store.clock.now() + planning.configure_pause(attempts)
        instance, revision = desired.instance, desired.revision
        self._store.instances.configuration_failed(instance, revision, words, attempts=attempts, next_try=next_try)

    @contextmanager
    def _interruptible(self, instance: str) -> Iterator[Interrupt]:
        interrupt = self._interrupts[instance] = Interrupt()
        try:
            yield interrupt
        finally:
            self._interrupts.pop(instance, None)

    def interrupt(self, instance: str) -> None:
        """End what an instance's own code does for us now: it is to be stopped or destroyed."""
        interrupt = self._interrupts.get(instance)
        if interrupt is not None:
            interrupt.end()

    def prolong(self) -> None:
        """Have what can move run on: the lease was renewed, or there is none any more."""
        movable = [desired for desired in self._store.instances.started() if desired.movable]
        if movable:
            self._supervisor.lend({desired.partition: self._until(desired) for desired in movable})

    def _until(self, desired: DesiredInstance) -> float | None:
        """Return the moment (seconds since the boot) at which an instance must end here by itself; None: none."""
        left = self._store.lease.left()
        return None if not desired.movable or math.isinf(left) else self._store.clock.since_boot() + left

    def ask(self, instance: str, link: Upstream) -> None:
        """Request of the Master, in an instance's name, what the instance requests of others."""
        with self._interruptible(instance) as interrupt:
            desired = self._store.instances.desired(instance)
            if desired is not None and desired.wanted is Wanted.STARTED:
                self._ask(desired, link, interrupt)

    def _ask(self, desired: DesiredInstance, link: Upstream, interrupt: Interrupt) -> None:
        instance = desired.instance
        slot, attempts = self._slot(desired), desired.ask_attempts + 1
        folder = str(self._folder(slot))
        requests = {requested.title: requested.spec for requested in desired.layout.outcome.requests}
        letter = {"master": link.master, "folder": folder, "requests": requests, "now": self._store.clock.now()}
        letter["await_ready"] = desired.layout.outcome.await_ready
        letter["clusters"] = desired.layout.outcome.clusters
        next_try = self._store.clock.now() + planning.ask_pause(attempts)
        try:
            self.identify(instance, link)
            payload = msgspec.json.encode(letter)
            # Our program, which speaks for the instance: where a Master is for this machine only, it reaches it too.
            send = "freehold.node.link.requests:send"
            answer = self._call(desired, send, payload, timeout=ASK_TIMEOUT, interrupt=interrupt, network=False)
            refused = gate.words(answer)
        except NodeError as error:
            _log.warning("the requests of %s cannot be made (try %s)", instance, attempts)
            # A Master that is away is no news for the Master.
            words = "" if isinstance(error, LinkDown) or interrupt.is_set else str(error)
            self._store.instances.record_requests(
                instance, desired.asking, refused=words, next_try=next_try, attempts=attempts
            )
            return
        self._store.instances.record_requests(
            instance, desired.asking, refused=refused, next_try=next_try if refused else 0.0, attempts=attempts
        )

    def stop(self, instance: str) -> None:
        """End every process of an instance; its files stay."""
        desired = self._store.instances.desired(instance)
        if desired is None:
            return
        self._promises.forget(desired.partition)
        self._end(desired, STOP_SECONDS)
        failpoint("instance-stopped")
        self._store.instances.record_state(instance, desired.revision, Observed.STOPPED)

    def contain(self, instance: str, why: str) -> None:
        """End every process of an instance that takes what is not its own; it is tried again later."""
        desired = self._store.instances.desired(instance)
        if desired is None:
            return
        self._promises.forget(desired.partition)
        self._end(desired, DESTROY_SECONDS)
        next_try = self._store.clock.now() + planning.LONGEST_CONFIGURE_PAUSE
        self._store.instances.record_state(
            instance, desired.revision, Observed.FAILED, message=why, attempts=desired.attempts + 1, next_try=next_try
        )

    def adopt(self) -> None:
        """Have what has a partition, and is named by nobody, among what an operator decides of."""
        tenants = {self.enclosures.tenant(slot): slot.name for slot in self._slots.values()}
        tenants.pop("", None)
        for orphan in self._store.orphans.adopt(tenants):
            _log.error("%s has data of %s, which is not known: freehold node orphans", tenants[orphan], orphan)

    def destroy(self, instance: str) -> None:
        """End an instance: processes, its own pre-destroy programs, files; its partition is then free."""
        desired = self._store.instances.desired(instance)
        if desired is None:
            return
        self._promises.forget(desired.partition)
        slot = self._slots.get(desired.partition)
        # Never what another one has there, that the Master forgot.
        if slot is not None and self.enclosures.tenant(slot) in ("", instance):
            folder = self._folder(slot)
            self._end_services(desired, DESTROY_SECONDS)
            failpoint("instance-ended")
            if desired.release and (folder / layouts.PRERM).is_dir():
                self._run_pre_destroy_hook(desired, slot, folder)
            # The one place where all ends that ever ran in its name; nothing runs in it any more.
            self.enclosures.end(slot)
            empty(folder)
            failpoint("instance-emptied")
            self.enclosures.prove_empty(slot)
            self.enclosures.vacate(slot)
            self.enclosures.remove(slot)
        self._store.instances.record_state(instance, desired.revision, Observed.DESTROYED)

    def shorten_logs(self) -> None:
        """Have each partition whose logs grew too long shorten them, as its own user."""
        for desired in self._store.instances.started():
            slot = self._slots.get(desired.partition)
            rotations = desired.layout.outcome.logs
            if slot is None or not logs.too_long(self._folder(slot), rotations):
                continue
            folder = str(self._folder(slot))
            order = msgspec.json.encode(logs.RotationOrder(folder, rotations))
            try:
                self._call(desired, "freehold.node.partition.logs:rotate", order, timeout=ROTATE_TIMEOUT)
            except (NodeError, OSError) as error:
                _log.warning("logs of %s cannot be shortened (%s)", slot.name, _kind(error))

    def log(self, request: StreamRequest) -> PartitionLog:
        """Return what reads the logs that are asked for; raise NodeError where there is nothing to read."""
        desired = self._store.instances.desired(request.instance)
        if desired is None:
            raise ConfigureError("The node does not know this service yet.")
        slot = self._slot(desired)
        return reading.of_instance(request, desired, slot, self._folder(slot), self.enclosures, self._fork_server)

    def identify(self, instance: str, link: Upstream) -> None:
        """Give an instance a certificate of its own, or a new one in time; its key never leaves its folder."""
        desired = self._store.instances.desired(instance)
        if desired is not None:
            with self._identifying[desired.partition]:
                self._identify(instance, link)

    def _identify(self, instance: str, link: Upstream) -> None:
        desired = self._store.instances.desired(instance)
        if desired is None or desired.wanted is not Wanted.STARTED or desired.partition not in self._slots:
            return
        slot = self._slots[desired.partition]
        folder = self._folder(slot)
        if keys.is_young(folder / layouts.OURS / "certificate.pem", self._store.clock.now()):
            return
        request = gate.words(
            self._call(desired, "freehold.node.link.keys:for_instance", str(folder).encode(), timeout=IDENTITY_TIMEOUT)
        )
        _, content, _ = link.call(
            "POST",
            f"/node/v1/instances/{instance}/certificate",
            msgspec.json.encode(CertificateRequest(request)),
        )
        try:
            answer = msgspec.json.decode(content, type=CertificateAnswer)
        except UNREADABLE as error:
            raise LinkError(f"The Master's certificate is not understood ({error}). Update this node.") from None
        order = {
            "folder": str(folder),
            "certificate": answer.certificate,
            "authority": answer.authority,
            "at": self._store.clock.now(),
        }
        payload = json.dumps(order).encode()
        self._call(desired, "freehold.node.link.keys:keep_certificate", payload, timeout=IDENTITY_TIMEOUT)

    def _end(self, desired: DesiredInstance, seconds: float) -> None:
        """End all that runs in an instance's name, its services in their order as far as the time goes."""
        slot = self._slots.get(desired.partition)
        if slot is None or self.enclosures.tenant(slot) in ("", desired.instance):
            self._end_services(desired, seconds)
            if slot is not None:
                self.enclosures.end(slot)

    def _end_services(self, desired: DesiredInstance, seconds: float) -> None:
        longest = sum(processes.stop_timeout(service) for service in desired.layout.services) + 1.0
        self._supervisor.stop(desired.partition, min(seconds, longest), then_kill=True)
        self.services.forget(desired.partition)

    def _configured(self, desired: DesiredInstance, slot: PartitionSlot, interrupt: Interrupt) -> Layout:
        """Return what the configuration of an instance made; raise ConfigureError, also when its size is too small."""
        before = self.enclosures.kills(slot)
        try:
            return self._run_configuration(desired, slot, interrupt)
        except ForkServerError as error:
            # The group may have been made by this, and counts from zero.
            if self.enclosures.kills(slot) > before:
                memory_mb = self.enclosures.size(slot).memory_mb
                raise ConfigureError(
                    f"Its configuration was killed: it used all of its {memory_mb} MB of memory. Order a larger size."
                ) from error
            raise

    def _run_configuration(self, desired: DesiredInstance, slot: PartitionSlot, interrupt: Interrupt) -> Layout:
        folder = self._folder(slot)
        order = {
            "instance": desired.instance,
            "title": desired.title,
            "type": desired.type,
            "address": slot.address,
            "folder": str(folder),
            "software": str(self._paths.software / desired.release),
            "parameters": desired.parameters,
            "seed": desired.seed,
            "child_publications": desired.child_publications,
            "cluster": desired.cluster,
            "size": self.enclosures.size(slot),
            "runs": processes.runs(desired),
            "peers": self._store.instances.peers_in(desired.partition),
            "guests": self._store.shared.guests(desired.instance),
        }
        is_profile = not (self._paths.software / desired.release / "release" / "instance.py").exists()
        answer = self._call(
            desired,
            "freehold.node.partition.configure:run",
            msgspec.json.encode(order),
            warm="freehold.recipes.run" if is_profile else "",
            prints=str(folder / layouts.CONFIGURE_LOG),
            timeout=CONFIGURE_TIMEOUT,
            interrupt=interrupt,
        )
        return gate.read_layout(answer, self._store.clock.now())

    def _call(
        self, desired: DesiredInstance, target: str, payload: bytes, *, network: bool = True, **more: Any
    ) -> bytes:
        """Have a function run in an instance's partition, as its user and enclosed as it is."""
        slot = self._slot(desired)
        self.enclosures.open(slot)
        with self.enclosures.around(slot, desired.release, desired.layout.outcome, network=network) as enclosure:
            return self._fork_server.call(
                target,
                payload,
                uid=slot.uid,
                gid=slot.gid,
                cwd=str(self._folder(slot)),
                enclosure=enclosure,
                **more,
            )

    def _run_pre_destroy_hook(self, desired: DesiredInstance, slot: PartitionSlot, folder: Path) -> None:
        try:
            self._call(
                desired,
                "freehold.node.partition.destroy:run_pre_destroy_hook",
                str(folder).encode(),
                log=str(folder / layouts.LOG / "prerm.log"),
                timeout=PRERM_TIMEOUT + 5.0,
            )
        except (ForkServerError, HostError) as error:
            _log.warning("pre-destroy programs of %s failed (%s); see its var/log/prerm.log", slot.name, _kind(error))

    def _watch(self, desired: DesiredInstance, revision: int, layout: Layout) -> None:
        slot = self._slots[desired.partition]
        self._promises.watch(
            Watch(
                partition=desired.partition,
                instance=desired.instance,
                revision=revision,
                folder=str(self._folder(slot)),
                uid=slot.uid,
                gid=slot.gid,
                plugins=tuple(layout.promises),
                enclosure=self.enclosures.lasting(slot, desired.release, layout.outcome),
            )
        )

    def _slot(self, desired: DesiredInstance) -> PartitionSlot:
        try:
            return self._slots[desired.partition]
        except KeyError:
            raise ConfigureError(f"This node has no partition '{desired.partition}' any more.") from None

    def _folder(self, slot: PartitionSlot) -> Path:
        return self._paths.partitions / slot.name


def _kind(error: BaseException) -> str:
    """Return what kind of error it is, for our log: its words may be a stranger's."""
    return type(error).__name__
