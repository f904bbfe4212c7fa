"""The web server of hello: python hello.py CONFIGURATION."""

import html
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body {{ font: 1.2rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}</style>
</head><body><h1>{greeting}</h1><p>This is <strong>{title}</strong>, running on Freehold.</p><dl>{rows}</dl>
</body></html>
"""


def page(settings: dict) -> bytes:
    """Return the page that shows these settings."""
    parameters = settings["parameters"]
    rows = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>" for name, value in parameters.items()
    )
    title, greeting = html.escape(settings["title"]), html.escape(parameters["greeting"])
    return PAGE.format(title=title, greeting=greeting, rows=rows).encode()


def serve(settings: dict) -> None:
    """Serve the page until killed."""
    content = page(settings)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    ThreadingHTTPServer((settings["address"], settings["port"]), Handler).serve_forever()


if __name__ == "__main__":
    serve(json.loads(Path(sys.argv[1]).read_text()))
