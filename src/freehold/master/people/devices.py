"""Browsers that logged in to an account before: a signed cookie says so, and gives them tries of their own.

So strangers who try passwords, from however many addresses, use up what strangers share, and never what the owner's
browser has. The cookie proves nothing else, and opens nothing.
"""

import secrets

from django.core import signing

COOKIE = "__Host-device"
YEAR_S = 366 * 24 * 3600
MOST_ACCOUNTS = 5
"""Accounts of one browser that are remembered; the one that logged in longest ago is forgotten first."""
_SALT = "freehold.devices"


def of_account(cookie: str, account: str) -> str:
    """Return the name by which a browser is known to an account (the digest of its e-mail); empty: it is not."""
    return _read(cookie).get(account, "")


def remember(cookie: str, account: str) -> str:
    """Return the cookie of a browser that just logged in to an account."""
    known = _read(cookie)
    name = known.pop(account, "") or secrets.token_urlsafe(12)
    accounts = [*known.items(), (account, name)][-MOST_ACCOUNTS:]
    return signing.dumps(dict(accounts), salt=_SALT)


def _read(cookie: str) -> dict[str, str]:
    try:
        accounts: dict[str, str] = signing.loads(cookie, salt=_SALT, max_age=YEAR_S)
    except signing.BadSignature:
        return {}
    return accounts
