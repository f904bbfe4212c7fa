"""All reads of consumption."""

from freehold.master.usage.models import CounterRow

COUNTERS = ("cpu_ms", "memory_mb_s", "disk_mb_s", "network_in", "network_out")


def so_far(instance: str) -> dict[str, int | None]:
    """Return what an instance used since it was placed; None for what its node cannot measure."""
    row = CounterRow.objects.filter(instance=instance).order_by("-id").values(*COUNTERS).first()
    return dict(row) if row else dict.fromkeys(COUNTERS)
