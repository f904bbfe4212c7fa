"""The Node's errors: each message says what was wrong and what to do."""


class NodeError(Exception):
    """Base of all errors of this component."""

    exit_status = 1


class SettingsError(NodeError):
    """The node is not prepared or not enrolled, or its settings cannot be read."""


class HostError(NodeError):
    """The machine does not give what a node needs: users, folders, addresses."""


class LinkError(NodeError):
    """The Master said no, or something else answered in its place."""


class LinkDown(LinkError):
    """The Master cannot be reached now; the node goes on with what it knows."""

    exit_status = 4


class BuildError(NodeError):
    """A release cannot be built; the message ends with the last lines of the log."""


class ConfigureError(NodeError):
    """An instance cannot be configured."""


class SupervisorError(NodeError):
    """The supervisor cannot be started or refuses an order."""
