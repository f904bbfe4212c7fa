"""How often passwords may be tried, and letters asked for: of one account, and from one address.

It lives in the memory of the one process that serves, and is bounded there; a restart forgets it.
"""

import threading
from collections import OrderedDict, deque

from freehold.master.foundation import clock
from freehold.master.foundation.errors import TooManyTries

MOST_FAILURES = 100
"""Of one account in an hour (ASVS 2.2.1)."""
FREE_FAILURES = 10
"""Of one address in an hour before it has to pause."""
LONGEST_PAUSE = 300 * 1000
"""Milliseconds; pauses double from one second on."""
MOST_KEPT = 20_000
"""Accounts, addresses, and pairs of them that are remembered; the oldest are forgotten."""


class Throttle:
    """Counts failures; who is known to an account is not locked out by those of others: a browser that logged in to it
    before (`devices`), and an address from which a program did.
    """

    def __init__(self, message: str = "Too many wrong passwords") -> None:
        self._what = message
        self._lock = threading.Lock()
        self._accounts: OrderedDict[str, deque[int]] = OrderedDict()
        self._addresses: OrderedDict[str, deque[int]] = OrderedDict()
        self._devices: OrderedDict[str, deque[int]] = OrderedDict()
        self._trusted: OrderedDict[tuple[str, str], None] = OrderedDict()

    def check(self, account: str, address: str, device: str = "") -> None:
        """Raise TooManyTries, in the same words for an account that is not there.

        `device`: by what name the browser is known to this account; it has tries of its own, and no others.
        """
        with self._lock:
            now = clock.now()
            if device:
                failures = _recent(self._devices, device, now)
                if len(failures) >= MOST_FAILURES:
                    raise self._refusal((failures[0] + clock.HOUR - now) // 1000 + 1)
                return
            tries = _recent(self._addresses, address, now)
            if len(tries) >= FREE_FAILURES:
                pause = min(1000 * 2 ** min(len(tries) - FREE_FAILURES, 20), LONGEST_PAUSE)
                if now < tries[-1] + pause:
                    raise self._refusal((tries[-1] + pause - now) // 1000 + 1)
            if (account, address) not in self._trusted:
                failures = _recent(self._accounts, account, now)
                if len(failures) >= MOST_FAILURES:
                    raise self._refusal((failures[0] + clock.HOUR - now) // 1000 + 1)

    def failed(self, account: str, address: str, device: str = "") -> None:
        with self._lock:
            shared = ((self._accounts, account), (self._addresses, address))
            for counters, key in ((self._devices, device),) if device else shared:
                counters.setdefault(key, deque(maxlen=MOST_FAILURES)).append(clock.now())
                counters.move_to_end(key)
                _forget(counters)

    def succeeded(self, account: str, address: str) -> None:
        with self._lock:
            self._trusted[account, address] = None
            self._trusted.move_to_end((account, address))
            _forget(self._trusted)

    def _refusal(self, seconds: int) -> TooManyTries:
        return TooManyTries(f"{self._what}; try again in {seconds} s.")


throttle = Throttle()


def _recent(counters: "OrderedDict[str, deque[int]]", key: str, now: int) -> "deque[int]":
    moments = counters.get(key, deque())
    while moments and moments[0] <= now - clock.HOUR:
        moments.popleft()
    return moments


def _forget(counters: "OrderedDict[str, deque[int]] | OrderedDict[tuple[str, str], None]") -> None:
    while len(counters) > MOST_KEPT:
        counters.popitem(last=False)
