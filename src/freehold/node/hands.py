"""What the agent does to partitions: configure, start, stop, destroy. Each may be repeated without harm."""

import json
import logging
import math
import stat
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
from freehold.node.host.firewall import Network
from freehold.node.host.trees import empty
from freehold.node.link.client import Link
from freehold.node.partition import gate, logs
from freehold.node.partition import layout as layouts
from freehold.node.partition.destroy import PRERM_TIMEOUT
from freehold.node.partition.enclosure import Enclosures, RunAsRoot
from freehold.node.partition.layout import Executable, Layout
from freehold.node.promises import Scheduler, Watch
from freehold.node.services import SERVICES, SETTLED, SETTLED_UNATTESTED, Services
from freehold.node.settings import Paths, Place, Settings
from freehold.node.store import Store, Wish
from freehold.node.supervisor.client import Process, Supervisor
from freehold.node.workshop import Interrupt, Workshop, WorkshopError
from freehold.protocol import UNREADABLE
from freehold.protocol.enrol import CertificateAnswer, CertificateRequest
from freehold.protocol.states import Observed, Wanted

CONFIGURE_TIMEOUT, ASK_TIMEOUT, IDENTITY_TIMEOUT, ROTATE_TIMEOUT = 600.0, 120.0, 15.0, 20.0
"""Seconds for the whole of what a partition's code does for us."""
STOP_SECONDS = 180.0
"""So long all services of an instance together may take to end, whatever they ask for."""
DESTROY_SECONDS = 10.0
"""So long when the instance is destroyed, and nothing that they write is kept."""
CERTIFICATE_DAYS = 20
"""An instance's certificate older than this is renewed."""
_log = logging.getLogger(__name__)


class Hands:
    """The verbs of partitions."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        store: Store,
        supervisor: Supervisor,
        workshop: Workshop,
        promises: Scheduler,
        run_as_root: RunAsRoot,
    ) -> None:
        self._paths = paths
        self.enclosures = Enclosures(paths, settings, run_as_root)
        self._places = {place.name: place for place in settings.places}
        self._store = store
        self._supervisor = supervisor
        self._workshop = workshop
        self._promises = promises
        self.services = Services(store, promises)
        self._identifying = defaultdict[str, threading.Lock](threading.Lock)
        """By partition: two at once would make two keys, and the certificate of one would stand beside the other."""
        self._interrupts: dict[str, Interrupt] = {}
        """By instance: what ends the work that its own code does for us now."""

    def revive(self) -> None:
        """Have everything run that ran by what the store knows: after a start of the machine, without a Master."""
        started = [(self._places[one.partition], one) for one in self._store.started() if one.partition in self._places]
        self._admit([(place, wish.layout.outcome.network) for place, wish in started])
        for place, wish in started:
            if wish.layout.services or wish.layout.runs:
                try:
                    self._run(place, wish, wish.layout)
                    self._watch(wish, wish.state_revision, wish.layout)
                    self.services.tell(wish)
                except (NodeError, OSError):
                    # Its neighbours run on.
                    _log.exception("%s cannot be revived", wish.instance)

    def _admit(self, places: list[tuple[Place, Network | None]]) -> None:
        """Have the firewall admit these partitions: all at once, or as many as it takes, one by one."""
        try:
            self.enclosures.admit(places)
            return
        except HostError as error:
            _log.error("%s", error)
        for one in places:
            try:
                self.enclosures.admit([one])
            except HostError as error:
                _log.error("%s", error)

    def wait(self, instance: str) -> None:
        """Note that an instance waits for its release."""
        wish = self._store.wish(instance)
        if wish is not None:
            self._store.instance_is(instance, wish.revision, Observed.WAITING)

    def configure(self, instance: str) -> bool:
        """Configure an instance as now wanted and start what must run; return whether it succeeded."""
        with self._interruptible(instance) as interrupt:
            # Read after `interrupt` can find us: what is wanted later than this ends us.
            wish = self._store.wish(instance)
            if wish is None or wish.wanted is not Wanted.STARTED:
                return False
            return self._configure(wish, interrupt)

    def _configure(self, wish: Wish, interrupt: Interrupt) -> bool:
        instance = wish.instance
        try:
            place = self._place(wish)
            if wish.state is Observed.FAILED and (why := self.enclosures.held_back(place)):
                raise ConfigureError(why)
            if not self.enclosures.tenant(place):
                self._store.begin_counting(instance)
            self.enclosures.occupy(place, instance, is_new=wish.state is None)
            self.enclosures.open(place)
            # What it may not reach later, it does not reach while it is configured.
            self.enclosures.admit([(place, wish.layout.outcome.network)])
            layout = self._run_configuration(wish, place, interrupt)
            failpoint("instance-configured")
            self.enclosures.admit([(place, layout.outcome.network)])
            self._run(place, wish, layout)
            failpoint("instance-applied")
        except Exception as error:
            if interrupt.is_set:
                _log.info("the configuration of %s was interrupted: something else is wanted of it", instance)
            else:
                self._configuration_failed(wish, error)
            return False
        names = list(dict.fromkeys(layouts.promise_name(path) for path in layout.promises))
        if layout.services or layout.runs:
            names.append(SERVICES)
        missing = ", ".join(f"'{title}'" for title in layout.outcome.missing)
        self._store.instance_is(
            instance,
            wish.revision,
            Observed.CONFIGURING if missing else Observed.STARTED,
            message=f"It waits for what {missing} publishes." if missing else "",
            layout=layout,
            promises=names,
        )
        failpoint("instance-started")
        self._watch(wish, wish.revision, layout)
        if (configured := self._store.wish(instance)) is not None:
            # What it runs may have settled before the line above.
            self.services.tell(configured)
        return True

    def _run(self, place: Place, wish: Wish, layout: Layout) -> None:
        """Have an instance's processes run in its container; while it waits for another, what runs goes on."""
        if self.enclosures.tenant(place) != wish.instance:
            # Of a store that was put back from an older copy: it was ended since, and its files are gone.
            raise HostError(f"{place.name} is not of {wish.instance} any more.")
        self.enclosures.open(place)
        processes = self._processes(place, wish.release, layout)
        waits = bool(layout.outcome.missing)
        until, told = self._until(wish), self.services.recall
        versions = self._supervisor.apply(wish.partition, processes, until=until, patient=waits, on_event=told)
        self.services.expect(wish.partition, versions)

    def closed(self) -> list[str]:
        """Return the instances that run, by what the store knows, and whose container is gone."""
        return [
            wish.instance
            for wish in self._store.started()
            if wish.partition in self._places and not self.enclosures.is_open(self._places[wish.partition])
        ]

    def reopen(self, instance: str) -> None:
        """Make an instance's container anew, with what runs in it."""
        wish = self._store.wish(instance)
        if wish is None or wish.state not in (Observed.STARTED, Observed.CONFIGURING):
            return
        place = self._places[wish.partition]
        if self.enclosures.is_open(place):
            return
        _log.warning("the container of %s is gone; it is made anew", place.name)
        try:
            self._run(place, wish, wish.layout)
            self._watch(wish, wish.state_revision, wish.layout)
            self.services.tell(wish)
        except NodeError as error:
            _log.error("%s does not run: %s", wish.instance, error)

    def _configuration_failed(self, wish: Wish, error: Exception) -> None:
        """Tell the customer why; words of strangers stay out of our log, and those of root's programs stay in it."""
        attempts, words = wish.attempts + 1, str(error)
        why = "see `freehold node status`"
        if not isinstance(error, ConfigureError | WorkshopError):
            why = f"{_kind(error)}: {error}"
            words = f"The node could not set up what it needs; its operator finds why in its log ({_kind(error)})."
            if not isinstance(error, NodeError):
                _log.exception("an error of the node itself")
        _log.warning("%s cannot be configured (try %s): %s", wish.instance, attempts, why)
        next_try = self._store.now() + planning.configure_pause(attempts)
        self._store.configuration_failed(wish.instance, wish.revision, words, attempts=attempts, next_try=next_try)

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
        movable = [wish for wish in self._store.started() if wish.movable]
        if movable:
            self._supervisor.lend({wish.partition: self._until(wish) for wish in movable})

    def _until(self, wish: Wish) -> float | None:
        """Return the moment (seconds since the boot) at which an instance must end here by itself; None: none."""
        left = self._store.lease_left()
        return None if not wish.movable or math.isinf(left) else self._store.clock.hardware.since_boot() + left

    def ask(self, instance: str, link: Link) -> None:
        """Request of the Master, in an instance's name, what the instance requests of others."""
        with self._interruptible(instance) as interrupt:
            wish = self._store.wish(instance)
            if wish is not None and wish.wanted is Wanted.STARTED:
                self._ask(wish, link, interrupt)

    def _ask(self, wish: Wish, link: Link, interrupt: Interrupt) -> None:
        instance = wish.instance
        place, attempts = self._place(wish), wish.ask_attempts + 1
        folder = str(self._folder(place))
        requests = {one.title: one.wish for one in wish.layout.outcome.requests}
        letter = {"master": link.master, "folder": folder, "requests": requests, "now": self._store.now()}
        next_try = self._store.now() + planning.ask_pause(attempts)
        try:
            self.identify(instance, link)
            payload = msgspec.json.encode(letter)
            # Our program, which speaks for the instance: where a Master is for this machine only, it reaches it too.
            send = "freehold.node.link.requests:send"
            answer = self._call(wish, send, payload, timeout=ASK_TIMEOUT, interrupt=interrupt, network=False)
            refused = gate.words(answer)
        except NodeError as error:
            _log.warning("the requests of %s cannot be made (try %s)", instance, attempts)
            # A Master that is away is no news for the Master.
            words = "" if isinstance(error, LinkDown) or interrupt.is_set else str(error)
            self._store.asked(instance, wish.asking, refused=words, next_try=next_try, attempts=attempts)
            return
        self._store.asked(
            instance, wish.asking, refused=refused, next_try=next_try if refused else 0.0, attempts=attempts
        )

    def stop(self, instance: str) -> None:
        """End every process of an instance; its files stay."""
        wish = self._store.wish(instance)
        if wish is None:
            return
        self._promises.forget(wish.partition)
        self._end(wish, STOP_SECONDS)
        failpoint("instance-stopped")
        self._store.instance_is(instance, wish.revision, Observed.STOPPED)

    def contain(self, instance: str, why: str) -> None:
        """End every process of an instance that takes what is not its own; it is tried again later."""
        wish = self._store.wish(instance)
        if wish is None:
            return
        self._promises.forget(wish.partition)
        self._end(wish, DESTROY_SECONDS)
        next_try = self._store.now() + planning.LONGEST_CONFIGURE_PAUSE
        self._store.instance_is(
            instance, wish.revision, Observed.FAILED, message=why, attempts=wish.attempts + 1, next_try=next_try
        )

    def adopt(self) -> None:
        """Have what has a partition, and is named by nobody, among what an operator decides of."""
        tenants = {self.enclosures.tenant(place): place.name for place in self._places.values()}
        tenants.pop("", None)
        for one in self._store.adopt(tenants):
            _log.error("%s has data of %s, which is not known: freehold node orphans", tenants[one], one)

    def destroy(self, instance: str) -> None:
        """End an instance: processes, last wishes, files; its partition is then free."""
        wish = self._store.wish(instance)
        if wish is None:
            return
        self._promises.forget(wish.partition)
        place = self._places.get(wish.partition)
        # Never what another one has there, that the Master forgot.
        if place is not None and self.enclosures.tenant(place) in ("", instance):
            folder = self._folder(place)
            self._end_services(wish, DESTROY_SECONDS)
            failpoint("instance-ended")
            if wish.release and (folder / layouts.PRERM).is_dir():
                self._last_wishes(wish, place, folder)
            # The one place where all ends that ever ran in its name; nothing runs in it any more.
            self.enclosures.end(place)
            empty(folder)
            failpoint("instance-emptied")
            self.enclosures.prove_empty(place)
            self.enclosures.vacate(place)
            self.enclosures.remove(place)
        self._store.instance_is(instance, wish.revision, Observed.DESTROYED)

    def shorten_logs(self) -> None:
        """Have each partition whose logs grew too long shorten them, as its own user."""
        for wish in self._store.started():
            place = self._places.get(wish.partition)
            rotations = wish.layout.outcome.logs
            if place is None or not logs.too_long(self._folder(place), rotations):
                continue
            folder = str(self._folder(place))
            order = msgspec.json.encode(logs.Order(folder, rotations))
            try:
                self._call(wish, "freehold.node.partition.logs:rotate", order, timeout=ROTATE_TIMEOUT)
            except (NodeError, OSError) as error:
                _log.warning("logs of %s cannot be shortened (%s)", place.name, _kind(error))

    def identify(self, instance: str, link: Link) -> None:
        """Give an instance a certificate of its own, or a new one in time; its key never leaves its folder."""
        wish = self._store.wish(instance)
        if wish is not None:
            with self._identifying[wish.partition]:
                self._identify(instance, link)

    def _identify(self, instance: str, link: Link) -> None:
        wish = self._store.wish(instance)
        if wish is None or wish.wanted is not Wanted.STARTED or wish.partition not in self._places:
            return
        place = self._places[wish.partition]
        folder = self._folder(place)
        if is_young(folder / layouts.OURS / "certificate.pem", self._store.now()):
            return
        request = gate.words(
            self._call(wish, "freehold.node.link.keys:for_instance", str(folder).encode(), timeout=IDENTITY_TIMEOUT)
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
            "at": self._store.now(),
        }
        payload = json.dumps(order).encode()
        self._call(wish, "freehold.node.link.keys:keep_certificate", payload, timeout=IDENTITY_TIMEOUT)

    def _end(self, wish: Wish, seconds: float) -> None:
        """End all that runs in an instance's name, its services in their order as far as the time goes."""
        place = self._places.get(wish.partition)
        if place is None or self.enclosures.tenant(place) in ("", wish.instance):
            self._end_services(wish, seconds)
            if place is not None:
                self.enclosures.end(place)

    def _end_services(self, wish: Wish, seconds: float) -> None:
        longest = sum(_stop_timeout(one) for one in wish.layout.services) + 1.0
        self._supervisor.stop(wish.partition, min(seconds, longest), then_kill=True)
        self.services.forget(wish.partition)

    def _run_configuration(self, wish: Wish, place: Place, interrupt: Interrupt) -> Layout:
        folder = self._folder(place)
        order = {
            "instance": wish.instance,
            "title": wish.title,
            "type": wish.type,
            "address": place.address,
            "folder": str(folder),
            "software": str(self._paths.software / wish.release),
            "parameters": wish.parameters,
            "seed": wish.seed,
            "given": wish.given,
            "guests": self._store.guests(wish.instance),
        }
        is_profile = not (self._paths.software / wish.release / "release" / "instance.py").exists()
        answer = self._call(
            wish,
            "freehold.node.partition.configure:run",
            msgspec.json.encode(order),
            warm="freehold.recipes.run" if is_profile else "",
            prints=str(folder / layouts.CONFIGURE_LOG),
            timeout=CONFIGURE_TIMEOUT,
            interrupt=interrupt,
        )
        return gate.read_layout(answer, self._store.now())

    def _call(self, wish: Wish, target: str, payload: bytes, *, network: bool = True, **more: Any) -> bytes:
        """Have a function run in an instance's partition, as its user and enclosed as it is."""
        place = self._place(wish)
        self.enclosures.open(place)
        with self.enclosures.around(place, wish.release, wish.layout.outcome, network=network) as enclosure:
            return self._workshop.call(
                target,
                payload,
                uid=place.uid,
                gid=place.gid,
                cwd=str(self._folder(place)),
                enclosure=enclosure,
                **more,
            )

    def _last_wishes(self, wish: Wish, place: Place, folder: Path) -> None:
        try:
            self._call(
                wish,
                "freehold.node.partition.destroy:last_wishes",
                str(folder).encode(),
                log=str(folder / layouts.LOG / "prerm.log"),
                timeout=PRERM_TIMEOUT + 5.0,
            )
        except (WorkshopError, HostError) as error:
            _log.warning("last wishes in %s failed (%s); see its var/log/prerm.log", place.name, _kind(error))

    def _processes(self, place: Place, release: str, layout: Layout) -> list[Process]:
        folder = self._folder(place)
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "LANG": "C.UTF-8",
        }
        groups, limits = self.enclosures.groups(place), self.enclosures.resource_limits(place)
        walls = self.enclosures.walls(place, release, layout.outcome)
        return [
            Process(
                name=f"{kind}/{one.name}",
                argv=[str(folder / where / one.name)],
                cwd=str(folder),
                log=str(folder / layouts.LOG / f"{one.name}.log"),
                digest=_digest(kind, one, release),
                environment=environment,
                uid=place.uid,
                gid=place.gid,
                once=kind == "run",
                groups=groups.services,
                track=groups.tracked,
                limits=limits,
                walls=walls,
                after=[f"service/{other}" for other in one.after[: layouts.MOST_AFTER]],
                stop_timeout=_stop_timeout(one),
                stop_signal=one.stop_signal,
                settle=SETTLED if layout.outcome.attested else SETTLED_UNATTESTED,
            )
            for kind, where, executables in (
                ("service", layouts.SERVICE, layout.services),
                ("run", layouts.RUN, layout.runs),
            )
            for one in executables
        ]

    def _watch(self, wish: Wish, revision: int, layout: Layout) -> None:
        place = self._places[wish.partition]
        self._promises.watch(
            Watch(
                partition=wish.partition,
                instance=wish.instance,
                revision=revision,
                folder=str(self._folder(place)),
                uid=place.uid,
                gid=place.gid,
                plugins=tuple(layout.promises),
                enclosure=self.enclosures.lasting(place, wish.release, layout.outcome),
            )
        )

    def _place(self, wish: Wish) -> Place:
        try:
            return self._places[wish.partition]
        except KeyError:
            raise ConfigureError(f"This node has no partition '{wish.partition}' any more.") from None

    def _folder(self, place: Place) -> Path:
        return self._paths.partitions / place.name


def _kind(error: BaseException) -> str:
    """Return what kind of error it is, for our log: its words may be a stranger's."""
    return type(error).__name__


def is_young(certificate: Path, now: float) -> bool:
    """Return whether a file is there that need not be renewed; its partition may have put anything in its place.

    Its time is that of the store, as `keys.keep_certificate` set it: the machine's own clock may be wrong.
    """
    try:
        found = certificate.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and 0 <= now - found.st_mtime < CERTIFICATE_DAYS * 86400


def _digest(kind: str, one: Executable, release: str) -> str:
    """Return what a process is known by: another one is started when that changes.

    What goes on running would stay in walls that show the former release only, and lose its programs with it. What
    runs once was done, whatever release did it.
    """
    return f"{one.digest}.{release[:16]}" if kind == "service" else one.digest


def _stop_timeout(one: Executable) -> float:
    """Return what an executable says, within bounds: its partition may have written anything."""
    return max(0.0, min(one.stop_timeout, layouts.LONGEST_STOP))
