"""What partitions use: read from the kernel, added up so that nothing is lost or counted twice."""

from freehold.node.metering.counters import Counters, Reading, accumulate
from freehold.node.metering.meter import Meter, MeteredPartition

__all__ = ["Counters", "Meter", "MeteredPartition", "Reading", "accumulate"]
