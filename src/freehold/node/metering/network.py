"""Bytes to and from each partition, counted by the kernel at its link: all that it sends and gets passes there."""


def read(host_end: str) -> tuple[int, int] | None:
    """Return bytes in and out of the partition behind a link, since it was made; None when there is none.

    They are counted as the link carries them, 14 bytes of a packet's head included.
    """
    if not host_end:
        return None
    try:
        # What the host sends there is what comes into the partition.
        return _number(host_end, "tx_bytes"), _number(host_end, "rx_bytes")
    except OSError:
        return None


def _number(host_end: str, name: str) -> int:
    with open(f"/sys/class/net/{host_end}/statistics/{name}") as file:
        return int(file.read())
