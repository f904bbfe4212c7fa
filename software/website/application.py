"""The page of a website: its text is kept in a PostgreSQL database, its visits are counted there.

python application.py SETTINGS.json
"""

import html
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg

TABLES = """
CREATE TABLE IF NOT EXISTS page (name text PRIMARY KEY, body text NOT NULL);
CREATE TABLE IF NOT EXISTS visit (at timestamptz NOT NULL DEFAULT now());
"""
KEEP = "INSERT INTO page VALUES ('first', %s) ON CONFLICT (name) DO UPDATE SET body = excluded.body"


class Store:
    """The database; a connection that was lost is made again at the next look."""

    def __init__(self, url: str, text: str) -> None:
        self._url, self._text = url, text
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = threading.Lock()

    def visit(self) -> tuple[str, int]:
        """Count a visit; return the text of the first page and how many visits there were."""
        with self._lock:
            for attempt in (1, 2):
                try:
                    connection = self._connect()
                    with connection.transaction():
                        connection.execute("INSERT INTO visit DEFAULT VALUES")
                        row = connection.execute(
                            "SELECT body, (SELECT count(*) FROM visit) FROM page WHERE name = 'first'"
                        ).fetchone()
                        assert row is not None
                        return row[0], row[1]
                except psycopg.OperationalError:
                    self._connection = None
                    if attempt == 2:
                        raise
        raise AssertionError("unreachable")

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url, connect_timeout=5, autocommit=True)
            self._connection.execute(TABLES)
            self._connection.execute(KEEP, [self._text])
        return self._connection


def main() -> None:
    with open(sys.argv[1]) as file:
        settings = json.load(file)
    store = Store(settings["database"], settings["text"])

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                text, visits = store.visit()
            except psycopg.Error as error:
                # In the log, not on the page: it may name the server.
                print(f"the database does not answer: {error}", file=sys.stderr, flush=True)
                self.answer(503, "<p>The database does not answer. Try again soon.</p>")
                return
            paragraphs = "".join(f"<p>{html.escape(part)}</p>\n" for part in text.split("\n") if part.strip())
            self.answer(200, f"{paragraphs}<p>{visits} visits.</p>")

        def answer(self, status: int, content: str) -> None:
            title = html.escape(settings["title"])
            body = (
                f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
                f"<h1>{title}</h1>\n{content}"
            ).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """nginx keeps the log."""

    ThreadingHTTPServer((settings["address"], settings["port"]), Page).serve_forever()


if __name__ == "__main__":
    main()
