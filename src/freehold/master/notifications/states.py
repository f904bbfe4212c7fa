"""The states of a message on its way."""

from enum import StrEnum


class MessageState(StrEnum):
    """Where a message is."""

    WAITING = "waiting"
    """To be sent, or tried again."""
    SENT = "sent"
    """The mail server, or the receiver, said that it has it."""
    DEAD = "dead"
    """It cannot be delivered, or could not for three days; somebody may put it back."""
