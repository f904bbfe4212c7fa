"""Restarting a service, or one of its processes, or running a job: a token that its node makes a part of what runs.

A node runs each process as it is known by, and the token belongs to that. So a restart is done once, whatever is killed
or repeated meanwhile: who asks with the same token again asks for what is there.
"""

import json
import re
import secrets
from typing import Any

from freehold.master.fleet import contact, revisions
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict, Invalid, NotFound
from freehold.master.foundation.transactions import audit, locking, run, writing
from freehold.master.ordering import endings, project_suspension, queries
from freehold.master.ordering.queries import QUERIES
from freehold.master.people.identity import Caller, Scope
from freehold.protocol import JOB_PROMISE
from freehold.protocol.states import Wanted

KEPT_TOKENS = 20
"""Of each process: what was asked with one of them is not done again."""


_TOKEN = re.compile("[A-Za-z0-9_-]{1,64}")


def new_token() -> str:
    """Return a token for one restart."""
    return secrets.token_urlsafe(12)


def restart(project: str, title: str, *, process: str = "", token: str = "", acting: Caller) -> bool:
    """Have a service, or one of its processes, be ended and started anew, or a job (`job-NAME`) run now.

    Return whether that was news.

    With a token that was given before nothing is done. Raise Invalid for what is no token, NotFound, and Conflict for
    what does not run, is not heard of, or has no such process.
    """
    owner = acting.project(project, Scope.ORDER)
    project_suspension.refuse(owner)
    token = token or new_token()
    if not _TOKEN.fullmatch(token):
        raise Invalid("This is no token.", remedy="A token has up to 64 letters, digits, dashes and underscores.")
    with writing():
        rows = run(locking(QUERIES["live"], "i"), project=owner, title=title)
        if not rows:
            # One that is destroyed, or that there never was.
            _refuse(queries.by_title(owner, title))
            raise NotFound(f"There is no '{title}' in '{project}'.")
        kept: dict[str, list[str]] = json.loads(rows[0]["restarts"])
        if token in kept.get(process, ()):
            return False
        row = queries.by_id(rows[0]["id"])
        _refuse(row)
        _check_process(row, process)
        known = {name: tokens for name, tokens in kept.items() if name in ("", *row["processes"], *jobs(row))}
        known[process] = [*known.get(process, []), token][-KEPT_TOKENS:]
        revision = revisions.bump(row["node_id"])
        run(
            QUERIES["set_restarts"],
            id=row["id"],
            restarts=json.dumps(known, ensure_ascii=False),
            revision=revision,
            now=clock.now(),
        )
        audit(acting.actor, "instance.restart", row["id"], project=owner, process=process)
    return True


def _refuse(row: dict[str, Any]) -> None:
    title = row["title"]
    if row["host"] is not None:
        raise Conflict(f"'{title}' is shared: it has no process of its own.", remedy="Restart what serves it.")
    if row["wanted"] == Wanted.DESTROYED:
        raise Conflict(f"'{title}' is destroyed.", remedy="")
    endings.refuse_ending(row)
    if row["wanted"] != Wanted.STARTED:
        raise Conflict(f"'{title}' is stopped: nothing of it runs.", remedy=f"Start it: freehold start '{title}'")
    if (silence := contact.silence(row)) is not None:
        raise Conflict(
            f"Its node '{row['node']}' has not been heard from since {clock.iso(silence.since)}: "
            "nothing can be restarted there now.",
            remedy="Ask again when the node is heard; `freehold show` tells.",
        )


def _check_process(row: dict[str, Any], process: str) -> None:
    there: list[str] = row["processes"]
    if not there:
        raise Conflict(
            f"'{row['title']}' runs nothing yet that can be restarted, or its node's version of Freehold cannot do it.",
            remedy="Wait until it is started; or its operator updates the node.",
        )
    if process and process not in (*there, *jobs(row)):
        is_job = process.startswith(JOB_PROMISE)
        named = jobs(row) if is_job else there
        subject = f"job '{process.removeprefix(JOB_PROMISE)}'" if is_job else f"process '{process}'"
        names = ", ".join(sorted(name.removeprefix(JOB_PROMISE) if is_job else name for name in named))
        raise NotFound(f"'{row['title']}' has no {subject}.", remedy=f"There are: {names or 'none'}.")


def jobs(row: dict[str, Any]) -> list[str]:
    """Return the promises of the jobs of a service, by which they are named."""
    return [name for name in row["promises"] if name.startswith(JOB_PROMISE)]
