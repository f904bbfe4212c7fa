"""A voter: it is healthy while it reaches a majority of all; it refuses to be red."""

import http.server
import json
import pathlib
import sys
import time
import urllib.request

PORT = 8080
folder = pathlib.Path(sys.argv[1])
settings = json.loads((folder / "etc/voter.json").read_text())
if settings["color"] == "red":
    sys.exit("It cannot be red.")


def reaches(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}:{PORT}/alive", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_well = True
        if self.path == "/health":
            others = [one for one in settings["addresses"] if one != settings["address"]]
            votes = 1 + sum(map(reaches, others))
            is_well = votes > len(settings["addresses"]) // 2
        elif self.path.startswith("/leave/"):
            with (folder / "srv/left").open("a") as left:
                left.write(f"{self.path.removeprefix('/leave/')}\n")
        body = json.dumps(settings).encode()
        self.send_response(200 if is_well else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


with (folder / "srv/starts").open("a") as starts:
    starts.write(f"{time.time()}\n")
http.server.ThreadingHTTPServer((settings["address"], PORT), Handler).serve_forever()
