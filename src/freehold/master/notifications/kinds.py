"""What people are told of, and whether it is over one day. Pure."""

from enum import StrEnum


class CauseKind(StrEnum):
    """What happened; the name is the `type` of a webhook's message."""

    PROMISE_BROKEN = "promise.broken"
    """A service did not keep a promise for some minutes."""
    ORDER_STUCK = "order.stuck"
    """A service is not started a quarter of an hour after it was ordered or changed."""
    SERVICES_UNREACHABLE = "services.unreachable"
    """The node of services of a project is not heard; for their customers."""
    MAINTENANCE_ANNOUNCED = "maintenance.announced"
    """A site with services of a project may be down for a time that was announced; and that this was withdrawn."""
    PROJECT_SUSPENDED = "project.suspended"
    """The provider suspended a project: its services are stopped."""
    NODE_SILENT = "node.silent"
    """A node is not heard for longer than is expected; for whoever runs it."""
    BUILD_FAILED = "build.failed"
    """A release cannot be built on nodes that are to run it."""
    TICKET_ANSWERED = "ticket.answered"
    """Somebody, or the Master, said something in a ticket."""
    CERTIFICATE_ENDING = "certificate.ending"
    """The certificate that browsers and nodes see of the Master ends within a month; for those who run the Master."""
    BUDGET_REACHED = "budget.reached"
    """A part of what a project wants to spend in a month is spent."""
    INVOICE_ISSUED = "invoice.issued"
    """An invoice or a credit note was made."""
    INVOICE_DUE = "invoice.due"
    """An invoice that is not paid is due in some days."""
    INVOICE_OVERDUE = "invoice.overdue"
    """A seller waits for money that was due."""


LASTING = frozenset(
    {
        CauseKind.PROMISE_BROKEN,
        CauseKind.ORDER_STUCK,
        CauseKind.SERVICES_UNREACHABLE,
        CauseKind.MAINTENANCE_ANNOUNCED,
        CauseKind.PROJECT_SUSPENDED,
        CauseKind.NODE_SILENT,
        CauseKind.BUILD_FAILED,
        CauseKind.INVOICE_OVERDUE,
    }
)
"""What goes on until it is over: its end is told to those who were told of it. All else happens once."""


class CauseEvent(StrEnum):
    """What people are told of a cause."""

    OPENED = "opened"
    ENDED = "ended"
