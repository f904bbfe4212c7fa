"""Processor time of the Master for each main page of the panel, among 10 services and among 10,000.

Pages are asked for as a browser does, with a session, over TLS, one after the other; each is of a Master with a
node for each 50 services, a product for each 20, promises, publications and a history; a tenth of the services are
parts of one tree. The yardstick is the same page of the same Master when it had 10 services.

    .venv/bin/python bench/panel.py [SERVICES]
    pg_virtualenv bash -c 'DATABASE_URL=postgresql://… .venv/bin/python bench/panel.py'
"""

import http.client
import json
import re
import ssl
import subprocess
import sys
from urllib.parse import urlencode

from clouds import REPOSITORY, cpu_seconds, kinds, master

from freehold.kit.master import OWNER, PASSWORD, Master

FEW = 10
ROUNDS = 40
TARGET_MS = 100
FILL = """
import json, sys, django
django.setup()
from unit.master.test_panel_cost import PAGES, grow
grow(int(sys.argv[1]))
print(json.dumps(PAGES))
"""


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for kind in kinds():
        with master(kind) as served:
            visitor = Visitor(served)
            pages = fill(served, FEW)
            few = {name: visitor.cost(path)[0] for name, path in pages.items()}
            fill(served, many)
            # The Master closed a connection that was silent for so long.
            visitor = Visitor(served)
            print(f"{kind}: CPU ms of the Master for a page, among {FEW} services and among {many}; kB of it")
            for name, path in pages.items():
                ms, size = visitor.cost(path)
                verdict = "" if ms <= TARGET_MS else f"  over {TARGET_MS}"
                print(f"{name:<20} {few[name]:6.1f} {ms:6.1f}  ratio {ms / few[name]:4.1f}  {size:5.0f}{verdict}")


def fill(served: Master, count: int) -> dict[str, str]:
    """Have a Master run so many services; return the paths of the pages, by what they are."""
    environment = {
        **served.environment(),
        "DJANGO_SETTINGS_MODULE": "freehold.master.settings",
        "PYTHONPATH": str(REPOSITORY / "tests"),
    }
    command = [sys.executable, "-c", FILL, str(count)]
    pages: dict[str, str] = json.loads(
        subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
    )
    return pages


class Visitor:
    """Somebody who logged in as a browser does."""

    def __init__(self, served: Master) -> None:
        self._pid = served.pid
        context = ssl.create_default_context(cafile=str(served.authority))
        self._connection = http.client.HTTPSConnection("127.0.0.1", served.port, context=context, timeout=60)
        self._cookies: dict[str, str] = {}
        page = self._ask("GET", "/login")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.decode())
        assert token
        form = {"csrfmiddlewaretoken": token[1], "email": OWNER, "password": PASSWORD}
        self._ask("POST", "/login", urlencode(form), Referer=f"{served.url}/login")
        assert "__Host-session" in self._cookies

    def cost(self, path: str) -> tuple[float, float]:
        """Return the milliseconds of processor time that a page takes the Master, and its size in kB."""
        size = len(self._ask("GET", path))
        before = cpu_seconds(self._pid)
        for _ in range(ROUNDS):
            self._ask("GET", path)
        return (cpu_seconds(self._pid) - before) / ROUNDS * 1000, size / 1000

    def _ask(self, method: str, path: str, body: str | None = None, **headers: str) -> bytes:
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()), **headers}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body, sent)
        answer = self._connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        content = answer.read()
        assert answer.status in (200, 302), (path, answer.status, content[:500])
        return content


if __name__ == "__main__":
    main()
