"""What can go wrong for a client, each with an exit status of the command line."""

from freehold.protocol.problem import Problem


class ClientError(Exception):
    """Base of all; the message says what was wrong and what to do."""

    exit_status = 1
    kind = "failed"
    """Stands as `type` in the error that `--json` gives."""


class Refused(ClientError):
    """The Master said no; `problem` is its document."""

    def __init__(self, problem: Problem) -> None:
        # A program that prints the error says which values were wrong, too.
        wrong = "; ".join(f"{error.field}: {error.rule}" for error in problem.errors)
        super().__init__(f"{problem.detail or problem.title}{wrong and f' ({wrong})'}")
        self.problem = problem


class NotReady(ClientError):
    """The instance was not as wanted within the time given; it goes on without us."""

    exit_status = 3
    kind = "not-ready"


class Unreachable(ClientError):
    """The Master did not answer, or proved to be somebody else."""

    exit_status = 4
    kind = "unreachable"
