"""A browser that logs in to a served Master, without a window."""

import http.client
from typing import TYPE_CHECKING, Any

from support.running import PASSWORD

if TYPE_CHECKING:
    from support.running import Master


def browse(master: "Master", email: str) -> str:
    """Log in as a browser does, and return the cookie of the session."""
    answer = open_page(master, "GET", "/login")
    csrf = cookie(answer, "__Host-csrf")
    form = f"csrfmiddlewaretoken={csrf}&email={email}&password={PASSWORD.replace(' ', '+')}"
    return cookie(open_page(master, "POST", "/login", form, f"__Host-csrf={csrf}"), "__Host-session")


def logged_in(master: "Master", key: str) -> bool:
    return bool(open_page(master, "GET", "/account", None, f"__Host-session={key}").status == 200)


def cookie(answer: Any, name: str) -> str:
    (found,) = [one for one in answer.headers.get_all("Set-Cookie") if one.startswith(f"{name}=")]
    return str(found).partition("=")[2].partition(";")[0]


def open_page(master: "Master", method: str, path: str, form: str | None = None, cookies: str = "") -> Any:
    connection = http.client.HTTPSConnection(master.host, master.port, context=master._context(None), timeout=60)
    headers = {
        "User-Agent": "tests", "Content-Type": "application/x-www-form-urlencoded", "Cookie": cookies,
        "Origin": f"https://{master.host}:{master.port}", "Referer": f"https://{master.host}:{master.port}/login",
    }  # fmt: skip
    try:
        connection.request(method, path, form, headers)
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()
