"""Sessions of people in browsers: what Django keeps of each (its `SESSION_ENGINE`), for how long, and who began it.

A session is named to people by its public id; its key is in the cookie alone, and opens everything.
"""

import time
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from freehold.master.foundation import clock, ids
from freehold.master.people.models import Session

IDLE_SECONDS, SEEN_SECONDS = 30 * 60, 60
"""After so long without a use a session ends; uses are noted so often at most."""
LONGEST_ADDRESS, LONGEST_BROWSER = 64, 200
"""Characters that are kept of where a session came from, which its sender says."""
PUBLIC_ID, _BEGAN, _SEEN, _ADDRESS, _BROWSER = "public_id", "began", "seen", "address", "browser"


class SessionStore(db.SessionStore):
    """Django's sessions in the database, with columns for what lists of them show."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        row = cast(Session, super().create_model_instance(data))
        row.person_id = data.get(SESSION_KEY)
        row.public_id = data.get(PUBLIC_ID)
        row.began_at = data.get(_BEGAN, 0) * clock.SECOND
        row.seen_at = data.get(_SEEN, 0) * clock.SECOND
        row.address, row.browser = data.get(_ADDRESS, ""), data.get(_BROWSER, "")
        return row


def note_use(session: SessionBase) -> None:
    """Note that a session of a person is used now, or end it: half an hour after its last use, or 12 hours old."""
    now = seconds()
    seen = session.get(_SEEN, 0)
    # Each time it is saved Django has it end 12 hours later, so its age is looked at here.
    if now - seen > IDLE_SECONDS or now - session.get(_BEGAN, 0) > settings.SESSION_COOKIE_AGE:
        session.flush()
    elif now - seen > SEEN_SECONDS:
        session[_SEEN] = now


def seconds() -> int:
    """Return seconds since 1970, by the clock that Django ends sessions by."""
    return int(time.time())


def _note_login(request: HttpRequest, **_: object) -> None:
    now = seconds()
    request.session.update(
        {
            PUBLIC_ID: ids.new("sess"),
            _BEGAN: now,
            _SEEN: now,
            _ADDRESS: _bounded(request.META.get("REMOTE_ADDR", ""), LONGEST_ADDRESS),
            _BROWSER: _bounded(request.META.get("HTTP_USER_AGENT", ""), LONGEST_BROWSER),
        }
    )


def _bounded(text: str, longest: int) -> str:
    """Return the beginning of what a stranger says, without characters that a terminal or a database obeys."""
    return "".join(character if character.isprintable() else "?" for character in text[:longest])


user_logged_in.connect(_note_login, dispatch_uid="freehold.sessions")
