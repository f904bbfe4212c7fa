"""The agent: compares what is wanted with what is found, does the difference, tells what came of it.

It waits for events (a new feed, a finished job, a promise's result) and for the next moment at which something
is due; it never polls. Everything it must remember is in the store, so it may be killed at any instruction.
"""

import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from freehold.failpoints import failpoint
from freehold.node import plan as planning
from freehold.node import upgrade
from freehold.node.assembly import assemble
from freehold.node.errors import BuildError, LinkError, SupervisorError
from freehold.node.identities import keep_renewed
from freehold.node.instances.lifecycle import InstanceLifecycle
from freehold.node.link import enrolment
from freehold.node.link.streams import Streams
from freehold.node.link.sync import FeedReader, OutboxSender
from freehold.node.metering.thread import MeteringThread
from freehold.node.parts import AgentParts
from freehold.node.plan import Step, Verb
from freehold.node.promises import Result
from freehold.node.runtime import NamedThread
from freehold.node.supervisor.children import MARK
from freehold.node.supervisor.client import SupervisorEvent
from freehold.protocol.states import SoftwareObserved

MOST_WORKERS = 64
"""Partitions whose code works for us at once, one worker each; as many again are reserved for stopping and destroying.
How many of them begin together says the plan."""
LONGEST_REST = 30.0
LOG_PERIOD = 300.0
PROGRESS_PERIOD = 2.0
CARE_PERIOD, CARE_PAUSE = 3600.0, 0.5
"""Seconds after which builds are offered again that the Master did not want; or, ever more, could not be given."""
LOOK_PERIOD = 24 * 3600.0
"""Seconds after which every file of every build is looked at again."""
_M_ARENA_MAX = -8
_log = logging.getLogger(__name__)


class Agent:
    """The agent of a node, built of the parts it is given. `run` returns when told to stop; services go on."""

    def __init__(self, parts: AgentParts) -> None:
        self.paths, self.settings, self.store = parts.paths, parts.settings, parts.store
        self._parts, self._runtime = parts, parts.runtime
        self._over, self._awake, self._built = self._runtime.event(), self._runtime.event(), self._runtime.event()
        self._busy: set[str] = set()
        self._building: dict[str, float] = {}
        """When each build that runs began (monotonic)."""
        self._configuring: dict[str, float] = {}
        """When each configuration that runs began (monotonic)."""
        self._failed: dict[Step, tuple[int, float]] = {}
        """Steps that failed as nobody foresaw: how often in a row, and not before when they are tried again."""
        self._wait = 0.0
        """Seconds until a step that was put off is looked at again; 0: none was."""
        self._busy_lock = threading.Lock()
        self.promises = parts.promises(self._on_result)
        self.lifecycle = InstanceLifecycle(
            self.paths,
            self.settings,
            self.store,
            parts.supervisor,
            parts.fork_server,
            self.promises,
            parts.enclosures,
        )
        self.outbox = OutboxSender(parts.connect(), self.store, self._renewed, self._keep_epoch, runtime=self._runtime)
        self.store.database.when_changed(self.outbox.told)
        self.streams = Streams(parts.connect, self.lifecycle.log, self._runtime, self._over.is_set)
        self.feed = FeedReader(
            parts.connect(), self.store, self._changed, self._keep_epoch, self.streams.begin, runtime=self._runtime
        )
        self.metering = MeteringThread(
            self.paths,
            self.settings,
            self.store,
            parts.supervisor,
            parts.meter,
            parts.enclosures.host_end,
            parts.enclosures.tenant,
            self._runtime,
        )
        self.maintenance = parts.maintenance(
            contain=self._contain, shorten_logs=self.lifecycle.shorten_logs, reopen=self._reopen
        )
        self.identities = parts.identities(
            self._identify, lambda: [desired.instance for desired in self.store.instances.started()]
        )
        # One more than may build: what is removed waits for no build.
        self._builders = self._runtime.pool(planning.MOST_BUILDERS + 1, "build")
        workers = min(MOST_WORKERS, len(self.settings.slots) + 1)
        self._configurers = self._runtime.pool(workers, "configure")
        self._enders = self._runtime.pool(workers, "end")

    def run(self) -> None:
        """Keep the node's promises until `stop`."""
        self.store.begin_epoch(self.settings.epoch)
        parts = self._parts
        parts.host.keep_addresses(on_host=not parts.enclosures.protections.network)
        parts.supervisor.ensure()
        holding = parts.enclosures.protections.holding()
        self.store.report_host(parts.host.facts(holding, self.store.results.health(), self.store.lease.seconds))
        self.promises.start()
        self.lifecycle.restore_running()
        self._start_threads()
        self.store.instances.runs_by(sys.executable)
        # What was interrupted is due now, though nothing new is heard; and what was written into partitions may name
        # the former version's interpreter.
        self._awake.set()
        while not self._over.is_set():
            self._awake.wait(self._rest())
            self._awake.clear()
            if not self._over.is_set():
                self._turn()
        self._finish()

    def _start_threads(self) -> None:
        works = (
            self._keep_supervisor,
            self._keep_certificate,
            self._keep_logs_short,
            self._keep_builds,
            self._prove,
        )
        threads = [NamedThread(target=work, name=work.__name__.strip("_"), daemon=True) for work in works]
        for thread in (self.feed, self.outbox, self.metering, *threads):
            self._runtime.start(thread)
        self.maintenance.start()
        self.identities.start()

    def stop(self) -> None:
        """End the agent soon; callable from a signal handler."""
        self._over.set()
        self._awake.set()
        self._built.set()

    def _rest(self) -> float:
        now = self.store.clock.now()
        moment = planning.next_moment(self.store.software.planned(), self.store.instances.planned(), now)
        pause = LONGEST_REST if moment is None else min(LONGEST_REST, max(0.05, moment - now))
        return min(pause, self.store.lease.left() or pause, self._wait or pause)

    def _turn(self) -> None:
        over = not self.store.lease.left()
        software, instances = self.store.software.planned(), self.store.instances.planned()
        self._wait = 0.0
        for step in planning.plan(software, instances, self.store.clock.now(), lease_is_over=over):
            with self._busy_lock:
                if step.subject in self._busy:
                    self._interrupt_for(step)
                    continue
                if not self._may_begin(step, self._runtime.monotonic()):
                    continue
                self._busy.add(step.subject)
            pools = {Verb.BUILD: self._builders, Verb.REMOVE: self._builders}
            pools |= {Verb.CONFIGURE: self._configurers, Verb.ASK: self._configurers}
            pools.get(step.verb, self._enders).submit(self._do, step)

    def _interrupt_for(self, step: Step) -> None:
        """End what is being done to a release or an instance that is not wanted any more, and might never end."""
        if step.verb is Verb.REMOVE:
            self._parts.builder.interrupt(self.paths, self.settings, step.subject)
        elif step.verb in (Verb.STOP, Verb.DESTROY):
            self.lifecycle.interrupt(step.subject)

    def _may_begin(self, step: Step, now: float) -> bool:
        """Return whether a step has its turn, and note that it begins; otherwise note when to look again."""
        _, not_before = self._failed.get(step, (0, 0.0))
        wait = not_before - now
        if wait <= 0 and step.verb is Verb.BUILD:
            if not planning.may_build(now - began for began in self._building.values()):
                # It is looked at again when one ends, and every half minute.
                return False
            self._building[step.subject] = now
        if wait <= 0 and step.verb in (Verb.CONFIGURE, Verb.ASK):
            wait = planning.configure_wait(now - began for began in self._configuring.values())
            if wait <= 0:
                self._configuring[step.subject] = now
        if wait > 0:
            self._wait = min(self._wait or wait, wait)
        return wait <= 0

    def _do(self, step: Step) -> None:
        doing: dict[Verb, Callable[[str], None]] = {
            Verb.BUILD: self._build,
            Verb.REMOVE: self._remove,
            Verb.WAIT: self.lifecycle.wait,
            Verb.CONFIGURE: self._configure,
            Verb.ASK: self._ask,
            Verb.STOP: self._stop_instance,
            Verb.DESTROY: self._destroy,
        }
        try:
            doing[step.verb](step.subject)
            self._failed.pop(step, None)
        except Exception:
            times = self._failed.get(step, (0, 0.0))[0] + 1
            pause = planning.stumble_pause(times)
            self._failed[step] = times, self._runtime.monotonic() + pause
            _log.exception("%s %s failed; retrying in %g s", step.verb, step.subject, pause)
        finally:
            with self._busy_lock:
                self._busy.discard(step.subject)
                self._building.pop(step.subject, None)
                self._configuring.pop(step.subject, None)
            self._awake.set()

    def _build(self, release: str) -> None:
        software = next(software for software in self.store.software.planned() if software.release == release)
        if not self._parts.builder.is_built(self.paths, release):
            self.store.software.record_state(release, SoftwareObserved.BUILDING, attempts=software.attempts)
        try:
            with self._telling_progress(release, software.attempts):
                self._parts.builder.build(self.paths, self.settings, self._parts.connect(), release)
        except (BuildError, LinkError, OSError) as error:
            attempts = software.attempts + 1
            next_try = self.store.clock.now() + planning.build_pause(attempts)
            # Why is in the release's own log, in words of those who wrote what it builds.
            log = self.paths.software / f"{release}.log"
            _log.warning("release %s cannot be built (try %s); see %s", release[:12], attempts, log)
            self.store.software.record_state(
                release, SoftwareObserved.FAILED, message=str(error), next_try=next_try, attempts=attempts
            )
            return
        failpoint("release-built")
        self.store.software.record_state(release, SoftwareObserved.AVAILABLE)
        failpoint("release-told")
        self._built.set()

    def _keep_builds(self) -> None:
        """Look whether every build is still whole, first after each start, and share those that are."""
        looked, failures = -LOOK_PERIOD, 0
        while not self._over.is_set():
            self._built.clear()
            built = [
                software.release
                for software in self.store.software.planned()
                if software.state is SoftwareObserved.AVAILABLE
            ]
            if self._runtime.monotonic() - looked >= LOOK_PERIOD:
                looked = self._runtime.monotonic()
                built = [release for release in built if self._is_whole(release)]
            try:
                trouble = self._parts.builder.share(self.paths, built)
            except Exception:
                _log.exception("builds cannot be shared; going on")
                trouble = "an error of the node itself"
            failures = failures + 1 if trouble else 0
            if trouble:
                _log.warning("builds are not shared: %s", trouble)
            self._built.wait(min(CARE_PERIOD, CARE_PAUSE * 2.0 ** min(failures, 16)) if trouble else CARE_PERIOD)

    def _is_whole(self, release: str) -> bool:
        try:
            wrong = self._parts.builder.damaged(self.paths, release)
            if wrong:
                _log.error("release %s is damaged in %s files, and built anew", release[:12], len(wrong))
                self._parts.builder.discard(self.paths, release, wrong)
                words = f"{len(wrong)} files were damaged, such as {wrong[0]}: it is built anew."
                self.store.software.record_state(release, SoftwareObserved.BUILDING, message=words)
                self._awake.set()
        except Exception:
            # It is looked at again; the other releases now.
            _log.exception("release %s cannot be looked at", release[:12])
            return False
        return not wrong

    @contextmanager
    def _telling_progress(self, release: str, attempts: int) -> Iterator[None]:
        """Tell the last lines of a build's log while it runs, for those who watch."""
        over, one_at_a_time = self._runtime.event(), threading.Lock()

        def tell() -> None:
            message = ""
            while not over.wait(PROGRESS_PERIOD):
                lines = self._parts.builder.last_lines(self.paths, release)
                with one_at_a_time:
                    if lines != message and not over.is_set():
                        message = lines
                        self.store.software.record_state(
                            release, SoftwareObserved.BUILDING, message=lines, attempts=attempts
                        )

        self._runtime.start(NamedThread(target=tell, name="build-progress", daemon=True))
        try:
            yield
        finally:
            # What comes of the build is told after the last of these.
            with one_at_a_time:
                over.set()

    def _remove(self, release: str) -> None:
        self._parts.builder.remove(self.paths, self.settings, release)
        failpoint("release-removed")
        self.store.software.record_state(release, SoftwareObserved.REMOVED)

    def _configure(self, instance: str) -> None:
        if self.lifecycle.configure(instance):
            self.metering.soon()
            self.identities.want(instance)

    def _stop_instance(self, instance: str) -> None:
        self._measure_once_more(instance)
        self.lifecycle.stop(instance)

    def _destroy(self, instance: str) -> None:
        self._measure_once_more(instance)
        self.lifecycle.destroy(instance)

    def _measure_once_more(self, instance: str) -> None:
        """What an instance used until now is told before its counters are gone with its container."""
        try:
            self.metering.measure()
        except Exception:
            _log.exception("the last use of %s cannot be told", instance)

    def _keep_epoch(self, epoch: int) -> None:
        self.settings = self._parts.keep_epoch(epoch)

    def _renewed(self) -> None:
        self.lifecycle.prolong()
        self._awake.set()

    def _changed(self) -> None:
        self.lifecycle.adopt()
        self.maintenance.tell_soon()
        self._awake.set()

    def _contain(self, instance: str, why: str) -> None:
        self._alone(instance, lambda: self.lifecycle.contain(instance, why))

    def _reopen(self) -> None:
        for instance in self.lifecycle.closed():
            self._alone(instance, lambda closed=instance: self.lifecycle.reopen(closed))  # type: ignore[misc]

    def _alone(self, instance: str, work: Callable[[], None]) -> None:
        """Do something to an instance, unless something is being done to it: then it is looked at again soon."""
        with self._busy_lock:
            if instance in self._busy:
                return
            self._busy.add(instance)
        try:
            work()
        finally:
            with self._busy_lock:
                self._busy.discard(instance)
            self._awake.set()

    def _ask(self, instance: str) -> None:
        self.lifecycle.ask(instance, self._parts.connect())

    def _on_result(self, result: Result) -> None:
        changed = self._note(result)
        self.lifecycle.services.measured(result.partition)
        if result.bang and changed and self.store.instances.force_reconfigure(result.instance):
            _log.info("%s is configured again: its promise %s asks for it", result.instance, result.promise)
            self._awake.set()

    def _note(self, result: Result) -> bool:
        changed = self.store.results.record(
            result.instance, result.revision, result.promise, result.kept, result.message, self.store.clock.now()
        )
        if changed:
            word = "kept" if result.kept else "broken"
            _log.info("promise %s of %s is %s", result.promise, result.instance, word)
        return changed

    def _on_event(self, event: SupervisorEvent) -> None:
        try:
            self.lifecycle.services.hear(event)
        except Exception:
            _log.exception("what became of %s in %s cannot be noted", event.name, event.group)

    def _keep_supervisor(self) -> None:
        """Start the supervisor again whenever it ends; it finds its processes by itself."""
        while not self._over.is_set():
            self._parts.supervisor.watch(self._on_event)
            if self._over.is_set():
                return
            _log.warning("the supervisor ended; starting it again")
            try:
                self._parts.supervisor.ensure()
                self.lifecycle.restore_running()
            except SupervisorError as error:
                _log.error("%s", error)
                self._over.wait(1)
            except Exception:
                _log.exception("what ran cannot be started again; retrying")
                self._over.wait(1)

    def _identify(self, instance: str) -> None:
        link = self._parts.connect()
        try:
            self.lifecycle.identify(instance, link)
        finally:
            link.close()

    def _keep_certificate(self) -> None:
        keep_renewed(
            lambda: enrolment.is_renewal_due(self.settings, self.store.clock.now()), self._renew_certificate, self._over
        )

    def _renew_certificate(self) -> None:
        link = self._parts.connect()
        try:
            self.settings = self._parts.renew_certificate(link)
        finally:
            link.close()
        for conversation in (self.feed, self.outbox):
            conversation.reconnect()

    def _prove(self) -> None:
        upgrade.prove(self.paths.root, self._parts.connect(), self.store, self._over)

    def _keep_logs_short(self) -> None:
        while not self._over.wait(LOG_PERIOD):
            for work in (self.lifecycle.services.tell_all, self.lifecycle.shorten_logs):
                try:
                    work()
                except Exception:
                    _log.exception("%s failed; retrying", work.__name__)

    def _finish(self) -> None:
        self.outbox.stop()
        for pool in (self._builders, self._configurers, self._enders):
            pool.shutdown(wait=False, cancel_futures=True)
        self.metering.stop()
        self.maintenance.stop()
        self.promises.stop()
        self.identities.stop()
        self._parts.fork_server.close()
        self._parts.own_fork_server.close()


def run(root: Path) -> None:
    """Run the agent of a folder until SIGTERM or SIGINT."""
    # What is private is written with its own mode; what partitions must read must not depend on who starts us.
    os.umask(0o022)
    _share_one_heap()
    upgrade.follow(root)
    # Whatever keeps us, our children are not its.
    os.environ.pop(MARK, None)
    agent = Agent(assemble(root))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    signal.signal(signal.SIGHUP, lambda *_: agent.stop())
    agent.run()
    upgrade.follow(root)
    # Threads that wait on the network would hold us; all they know is in the store.
    logging.shutdown()
    os._exit(0)


def _share_one_heap() -> None:
    """Have all threads take C's memory of one heap: they rarely run at once, and a heap each is 200 kB of nothing."""
    # Of the GNU library; others have no such thing.
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
