"""What an agent needs of a Master. `link/` speaks to ours; the simulator answers in the same process."""

from http import HTTPStatus
from typing import Protocol

from freehold.node.errors import LinkDown, LinkError
from freehold.protocol.problem import Problem

TIMEOUT = 30.0
"""Seconds that an answer may take, unless it is said otherwise."""
_LATER = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE)
"""Answers of a Master that is there and cannot do anything now: nothing was refused."""


class Upstream(Protocol):
    """A connection to a Master. Not to be shared between threads."""

    master: str
    """Its URL."""

    def call(
        self, method: str, path: str, body: bytes | None = None, *, timeout: float = TIMEOUT
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of an answer.

        Raise MasterRefused when the Master says no, Unready when it cannot do it now, LinkDown when it cannot be
        reached, LinkError when who answers is not our Master or refuses our certificate.
        """

    def close(self) -> None:
        """End the connection; the next request opens another, with the identity as it is then."""


class MasterRefused(LinkError):
    """The Master said no; `problem` is its document."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail} {problem.remedy}".strip())
        self.problem = problem


class Unready(LinkDown):
    """The Master is there and cannot do it now: nothing was refused. `problem` is its document."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"The Master cannot do so now. {problem.detail}".rstrip())
        self.problem = problem


def denied(problem: Problem) -> MasterRefused | Unready:
    """Return the error that an answer stands for which is a problem."""
    return Unready(problem) if problem.status in _LATER else MasterRefused(problem)
