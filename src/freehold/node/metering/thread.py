"""The thread that measures: reads counters once a minute, keeps them, tells them at the Master's pace."""

import logging
import secrets
import threading
from collections.abc import Callable

import msgspec

from freehold.node import settings as node_settings
from freehold.node.errors import SupervisorError
from freehold.node.metering import Counters, MeteredPartition, accumulate
from freehold.node.parts import MeterPart, SupervisorPart
from freehold.node.runtime import NamedThread, Runtime
from freehold.node.settings import Paths, Settings
from freehold.node.state.store import Store
from freehold.node.supervisor.client import GroupStatus
from freehold.protocol.report import Item, UsageReport
from freehold.protocol.states import Observed

PERIOD = 60.0
EARLY = 0.9
"""Of the pace: so use is told before a heartbeat would be, and no heartbeat is."""
SOON = 2.0
"""Seconds after a configuration until the first look, so that use is seen at once."""
_counters = msgspec.json.Decoder(Counters)
_log = logging.getLogger(__name__)


class MeteringThread(NamedThread):
    """Measures until stopped."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        store: Store,
        supervisor: SupervisorPart,
        meter: MeterPart,
        host_end: Callable[[node_settings.PartitionSlot], str],
        tenant: Callable[[node_settings.PartitionSlot], str],
        runtime: Runtime,
    ) -> None:
        """`host_end` names a partition's link on the host, `tenant` the instance that has it; empty: not known."""
        super().__init__(name="metering", daemon=True)
        self._paths = paths
        self._slots = {slot.name: slot for slot in settings.slots}
        self._store = store
        self._supervisor = supervisor
        self._host_end = host_end
        self._tenant = tenant
        self._meter = meter
        self._runtime = runtime
        self._last: dict[str, float] = {}
        """When an instance was last measured (monotonic): what passed while we were away is not billed."""
        self._told: dict[str, str] = {}
        """The counters of each instance as they were last told."""
        self._one_at_a_time = threading.Lock()
        """An older reading must not be told after a newer one."""
        self._hurry = runtime.event()
        self._over = False

    def soon(self) -> None:
        """Something was just configured: measure it soon."""
        self._hurry.set()

    def stop(self) -> None:
        self._over = True
        self._hurry.set()

    def run(self) -> None:
        due = self._runtime.monotonic() + EARLY * self._store.outbox.pace
        while not self._over:
            if self._hurry.wait(max(0.0, min(PERIOD, due - self._runtime.monotonic()))) and not self._over:
                self._runtime.sleep(SOON)
                self._hurry.clear()
                due = 0.0
            try:
                self.measure(tell=self._runtime.monotonic() >= due)
            except SupervisorError as error:
                _log.warning("use cannot be measured now: %s", error)
            except Exception:
                _log.exception("metering failed; retrying")
            if self._runtime.monotonic() >= due:
                due = self._runtime.monotonic() + EARLY * self._store.outbox.pace

    def measure(self, *, tell: bool = True) -> None:
        """Read, accumulate, keep and perhaps tell, once; callable from any thread."""
        with self._one_at_a_time:
            self._measure(tell)

    def _measure(self, tell: bool) -> None:
        status = self._supervisor.status()
        instances = [
            desired
            for desired in self._store.instances.planned()
            if desired.partition in self._slots
            and desired.state is not Observed.WAITING
            and desired.state is not None
            # What another one does there, whom no Master names any more, is not this one's use.
            and self._tenant(self._slots[desired.partition]) in ("", desired.instance)
        ]
        readings = self._meter.read(
            [self._slot(desired.partition, desired.instance, status.get(desired.partition)) for desired in instances]
        )
        counters = self._store.counters.all()
        now, moment = self._runtime.monotonic(), self._store.clock.now()
        texts: dict[str, str] = {}
        items: list[Item] = []
        for desired in instances:
            before = _decode(counters.get(desired.instance, "{}"))
            if not before.series:
                before = msgspec.structs.replace(before, series=secrets.token_hex(4))
            elapsed = now - self._last.get(desired.instance, now)
            self._last[desired.instance] = now
            after = accumulate(before, readings[desired.partition], elapsed)
            texts[desired.instance] = msgspec.json.encode(after).decode()
            if tell and texts[desired.instance] != self._told.get(desired.instance):
                items.append(_report(desired.instance, moment, after))
        self._store.counters.save(texts, items)
        if tell:
            self._told = texts

    def _slot(self, partition: str, instance: str, group: GroupStatus | None) -> MeteredPartition:
        slot = self._slots[partition]
        return MeteredPartition(
            partition=partition,
            uid=slot.uid,
            address=slot.address,
            folder=str(self._paths.partitions / partition),
            sessions=[process.pid for process in group.processes if process.pid] if group else [],
            dead_cpu_ms=group.dead_cpu_ms if group else 0,
            instance=instance,
            host_end=self._host_end(slot),
        )


def _report(instance: str, moment: float, counters: Counters) -> UsageReport:
    return UsageReport(
        instance,
        round(moment, 3),
        counters.series,
        **{name: int(value) for name, value in counters.used.items()},
    )


def _decode(text: str) -> Counters:
    try:
        return _counters.decode(text)
    except msgspec.ValidationError:
        # An older agent kept them in another form. They begin anew, in another series: nothing is told twice.
        return Counters()
