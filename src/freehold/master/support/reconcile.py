"""Tells people, by tickets, of what the Master noticed and cannot mend by itself."""

from pathlib import Path
from typing import Any

from freehold.master.billing.models import Budget
from freehold.master.billing.subscriptions import budgets
from freehold.master.foundation import clock, currencies, days, sql
from freehold.master.foundation.transactions import run
from freehold.master.generation import clocks
from freehold.master.generation.doubt import WAYS_ON
from freehold.master.people.identity import Scope
from freehold.master.support import actions
from freehold.master.support.models import Message, Ticket

TOLD_AGAIN = clock.HOUR
"""How long what goes on is not told again."""
_SQL = sql.load(Path(__file__).parent / "sql" / "noticed.sql")
DOUBT = "doubt:"
"""What such tickets are about, before the id of the project."""
CLOCK = "clock:"
"""What tickets about this Master's clock are about, before the id of the project."""
SPENT = (budgets.NEAR, 100)
"""Percents of a budget at which its project is told."""


def give_notice() -> int:
    """Tell of what nodes showed or said that does not fit what this Master knows; return of how much."""
    doubts = run(_SQL["doubts"])
    for row in doubts:
        about = f"{DOUBT}{row['project']}"
        if not Ticket.objects.filter(about=about, closed_at=None).exists():
            text = (
                f"{row['reason']}.\n\nUntil its operator decides, this Master takes no orders, destroys nothing and "
                f"issues no documents; services go on. {WAYS_ON}"
            )
            actions.notice(about, "This Master knows less than it did", text, project=row["project"])
    if not doubts:
        for ticket in Ticket.objects.filter(about__startswith=DOUBT, closed_at=None):
            actions.close_notice(ticket.about, "It was decided to go on from what this Master knows.")
    changed = _tell_of_clock()
    forgeries = run(_SQL["forgeries"])
    for row in forgeries:
        text = (
            f"It showed a statement of this Master that was never made to it: {row['reason']}. A copy of another "
            f"node's files, a changed disk or somebody with the node's key can be behind it; nothing was stopped. Look "
            f"at the machine; if it is not yours any more: freehold node revoke {row['title']}."
        )
        title = f"Node '{row['title']}' shows a false statement"
        actions.notice(f"forgery:{row['node']}", title, text, project=row["project"])
    return len(doubts) + changed + len(forgeries) + _tell_of_silence() + _quarantine()


def _tell_of_clock() -> int:
    """Tell who runs nodes that they contradict this Master's clock, once while it lasts, and that it is over.

    Return how many were told.
    """
    message = clocks.contradiction()
    if not message:
        over = list(Ticket.objects.filter(about__startswith=CLOCK, closed_at=None))
        for ticket in over:
            actions.close_notice(ticket.about, "Its clock is not contradicted any more.")
        return len(over)
    open_tickets = set(Ticket.objects.filter(about__startswith=CLOCK, closed_at=None).values_list("about", flat=True))
    count = 0
    for row in run(_SQL["providers"]):
        if (about := f"{CLOCK}{row['project']}") not in open_tickets:
            text = (
                f"{message}.\n\nUntil they agree it forgets nothing, takes no node for lost, books nothing and issues "
                f"no documents; services go on and are ordered. {clocks.WAY_ON}"
            )
            actions.notice(about, "This Master's clock is wrong", text, project=row["project"])
            count += 1
    return count


def _tell_of_silence() -> int:
    """Tell whose nodes are silent for longer than is expected, once for each, and that they are heard again."""
    silent, heard = run(_SQL["silent"], now=clock.now()), run(_SQL["heard"])
    for row in silent:
        text = (
            f"Node '{row['title']}' on site '{row['site']}' was last heard at {clock.iso(row['silent_since'])}. Its "
            f"services may run on; nothing new is placed there until it is heard again. Look at its machine and its "
            f"network.\n\nOn the node: freehold node status\nWhere such a silence is usual: freehold site change "
            f"{row['site']} --expected-silence SECONDS"
        )
        actions.notice(f"silent:{row['id']}", f"Node '{row['title']}' is silent", text, project=row["project"])
    for row in heard:
        actions.close_notice(row["about"], "It is heard again.")
    return len(silent) + len(heard)


class Quarantine:
    """Tells of what nodes said that could not be true. The bookmark in memory only saves time."""

    def __init__(self) -> None:
        self._bookmark = 0

    def __call__(self) -> int:
        """Tell of what is new; return how many nodes said it."""
        bookmark, waiting, count = self._bookmark, False, 0
        for row in run(_SQL["refused"], bookmark=self._bookmark):
            about = f"refused:{row['node']}"
            if _told_lately(about):
                # It is told later, with what comes until then.
                waiting = True
                continue
            (item,) = run(_SQL["item"], id=row["last"])
            text = (
                f"{row['items']} of what node '{row['title']}' told could not be true and is kept in quarantine, "
                f"uncounted. The last, in report {item['sequence']} at {clock.iso(item['received_at'])}:\n"
                f"{item['reason']}\n\nA wrong clock, a disk that forgot what was written, another version or somebody "
                f"with the node's key can be behind it. On the node: freehold node doctor."
            )
            if row["gone"]:
                text += (
                    f"\n\nOnly the newest are kept: {row['gone']} older ones filled more than its share and are gone."
                )
            title = f"Node '{row['title']}' tells what cannot be true"
            actions.notice(about, title, text, project=row["project"], until=row["last"])
            bookmark, count = max(bookmark, row["last"]), count + 1
        if not waiting:
            self._bookmark = bookmark
        return count


_quarantine = Quarantine()


def watch_money() -> int:
    """Tell of runs that could not be ended, and of budgets that are nearly spent; return how many budgets were."""
    count = 0
    for row in run(_SQL["troubled"]):
        title = f"The documents of {row['code']} cannot be issued"
        _tell_of_trouble(f"run:{row['id']}", title, "It could be ended meanwhile.", row)
    for row in run(_SQL["aside"]):
        title = f"{row['code']} cannot bill {row['customer']}"
        _tell_of_trouble(f"contract:{row['id']}", title, "It was billed meanwhile.", row)
    for budget in Budget.objects.order_by("project").iterator():
        count += _tell_of(budget)
    return count


def _tell_of_trouble(about: str, title: str, settled: str, row: dict[str, Any]) -> None:
    """Tell a seller's accountants of the trouble in a row, once while it lasts, and that it is over."""
    if not row["trouble"]:
        actions.close_notice(about, settled)
    elif not Ticket.objects.filter(about=about, closed_at=None).exists():
        actions.notice(about, title, row["trouble"], project=row["project"], scope=Scope.ACCOUNT)


def _tell_of(budget: Budget) -> bool:
    """Tell a project, once a month and step, that its budget is nearly spent or spent; return whether it was told."""
    spent = budgets.to_date(budget.project_id).spent_percent
    reached = [step for step in SPENT if spent >= step]
    if not reached:
        return False
    month = days.month_name(days.month_of(days.of_moment(clock.now(), "UTC")))
    about = f"budget:{budget.project_id}:{month}:{reached[-1]}"
    if Ticket.objects.filter(about=about).exists():
        return False
    amount = currencies.shown(budget.amount, budget.currency)
    text = f"{spent} % of the budget of {amount} a month is spent. Nothing is stopped. For what: `freehold costs`."
    actions.notice(about, f"{reached[-1]} % of the budget is spent", text, project=budget.project_id)
    return True


def _told_lately(about: str) -> bool:
    last = (
        Message.objects.filter(ticket__about=about, ticket__closed_at=None, author=actions.MASTER)
        .order_by("-id")
        .first()
    )
    return last is not None and last.at > clock.now() - TOLD_AGAIN
