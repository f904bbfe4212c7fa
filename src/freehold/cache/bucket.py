"""A cache in a private bucket of an S3-compatible store: what is asked of it is signed (AWS Signature, version 4).

    s3+https://HOST[:PORT]/BUCKET[/FOLDER]

Keys come from the environment or from a file in the form that everything else for such stores reads
(`aws_access_key_id`, `aws_secret_access_key`, `region`, in a section named by the host or in `default`).
"""

import configparser
import hashlib
import hmac
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from freehold.bodies import whole
from freehold.cache.folder import CacheError, merged, read
from freehold.protocol import UNREADABLE
from freehold.protocol.cache import LARGEST_ENTRIES, CacheEntry, Entries, blob_path, entries_path

SCHEMES = ("s3+https", "s3+http")
KEYS_FILE = "FREEHOLD_STORE_KEYS"
"""Names the file with keys."""
TIMEOUT = 20.0
"""Seconds for which a store may say nothing."""
_ALGORITHM = "AWS4-HMAC-SHA256"
_NOTHING = hashlib.sha256(b"").hexdigest()
_MOST_SAID = 4096


@dataclass(frozen=True)
class Keys:
    """Who asks, and with what it proves that."""

    name: str
    secret: str = field(repr=False)
    region: str = "us-east-1"
    session: str = field(default="", repr=False)


class Bucket:
    """A cache in a bucket."""

    def __init__(self, url: str, keys: Keys) -> None:
        self.name, self._keys = url, keys
        self._url = url.removeprefix("s3+").rstrip("/")
        self._ahead = 0.0
        """Seconds by which the store's clock is ahead of ours: it refuses what was signed at another time."""

    def fetch(self, path: str, most: int) -> bytes | None:
        """Return what is at a path; None when nothing is. Raise CacheError or OSError when it cannot be had."""
        content = self._ask("GET", path, most=most)
        if content is not None and len(content) > most:
            raise CacheError(f"it sends more than {most} bytes")
        return content

    def has(self, piece: str) -> bool:
        return self._ask("HEAD", blob_path(piece)) is not None

    def put(self, content: bytes) -> str:
        """Keep a piece and return its name."""
        piece = hashlib.sha256(content).hexdigest()
        self._ask("PUT", blob_path(piece), content)
        return piece

    def keep(self, entry: CacheEntry) -> None:
        """Add an entry in the place of what the same builder said before.

        Of two that do so at the same moment for one release, one is lost: it is to be given again.
        """
        statement = read(entry)
        path = entries_path(statement.kind, statement.release, statement.platform)
        try:
            before = msgspec.json.decode(self.fetch(path, LARGEST_ENTRIES) or b'{"entries": []}', type=Entries)
        except UNREADABLE:
            before = Entries([])
        self._ask("PUT", path, msgspec.json.encode(merged(before, entry)))

    def _ask(self, method: str, path: str, content: bytes = b"", *, most: int = 0) -> bytes | None:
        try:
            return self._ask_once(method, path, content, most)
        except urllib.error.HTTPError as error:
            answer = error.read(_MOST_SAID).decode(errors="replace")
            theirs = _moment(error.headers["Date"])
            if "RequestTimeTooSkewed" not in answer or self._ahead or theirs is None:
                self._must_be_absent(error.code, answer, method)
                return None
        self._ahead = theirs - time.time()
        return self._ask(method, path, content, most=most)

    def _ask_once(self, method: str, path: str, content: bytes, most: int) -> bytes:
        url = f"{self._url}/{path}"
        headers = signed(method, url, content, self._keys, time.time() + self._ahead)
        if method == "PUT":
            # Else the library calls it a form, and there are stores that believe that.
            headers["content-type"] = "application/octet-stream"
        request = urllib.request.Request(url, content if method == "PUT" else None, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return whole(answer, most)
        except http.client.HTTPException as error:
            raise CacheError(f"it does not answer like a store: {error!r}") from None

    def _must_be_absent(self, status: int, answer: str, method: str) -> None:
        """Raise CacheError unless what it says is that nothing is there."""
        code = answer.partition("<Code>")[2].partition("</Code>")[0]
        # Who may not list a bucket is told of what is not there that it may not be seen. HEAD has no words at all.
        if method != "PUT" and (status in (404, 410) or (status == 403 and code in ("", "AccessDenied"))):
            return
        raise CacheError(f"it refuses with status {status}{code and ', '}{code}")


def _moment(header: str | None) -> float | None:
    try:
        return parsedate_to_datetime(header).timestamp() if header else None
    except (ValueError, OverflowError):
        return None


def is_bucket(url: str) -> bool:
    """Return whether a URL names a bucket."""
    parts = urlsplit(url)
    return parts.scheme in SCHEMES and bool(parts.hostname) and parts.path.strip("/") != "" and not parts.username


def keys_for(url: str, file: Path | None) -> Keys:
    """Return the keys for a bucket: from the environment, else from a file; raise CacheError when there are none."""
    environment = os.environ
    if "AWS_ACCESS_KEY_ID" in environment and "AWS_SECRET_ACCESS_KEY" in environment:
        return Keys(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_REGION", "us-east-1"),
            environment.get("AWS_SESSION_TOKEN", ""),
        )
    file = Path(environment[KEYS_FILE]) if KEYS_FILE in environment else file
    if file is None or not file.exists():
        raise CacheError(f"there are no keys for {url}: none in the environment, and no file {file or KEYS_FILE}")
    if file.stat().st_mode & 0o077:
        raise CacheError(f"{file} can be read by others: chmod 600 {file}")
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read_string(file.read_text())
    except (configparser.Error, UnicodeDecodeError):
        # What is wrong with it would show what is in it.
        raise CacheError(f"{file} is not a file of keys: it has lines NAME = VALUE in sections [HOST]") from None
    host = urlsplit(url).netloc
    section = settings[host if host in settings else "default"] if {host, "default"} & set(settings) else {}
    try:
        name, secret = section["aws_access_key_id"], section["aws_secret_access_key"]
    except KeyError:
        raise CacheError(
            f"{file} has no aws_access_key_id and aws_secret_access_key in [{host}] or [default]"
        ) from None
    return Keys(name, secret, section.get("region", "us-east-1"), section.get("aws_session_token", ""))


def signed(
    method: str, url: str, content: bytes, keys: Keys, moment: float, more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the headers with which a request without a query is sent, signed at a moment (seconds since 1970)."""
    parts = urlsplit(url)
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
    scope = f"{now[:8]}/{keys.region}/s3/aws4_request"
    headers = {
        **(more or {}),
        "host": parts.netloc,
        "x-amz-content-sha256": hashlib.sha256(content).hexdigest() if content else _NOTHING,
        "x-amz-date": now,
    }
    if keys.session:
        headers["x-amz-security-token"] = keys.session
    names = ";".join(sorted(headers))
    canonical = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    path = quote(parts.path, safe="/-_.~%")
    request = f"{method}\n{path}\n\n{canonical}\n{names}\n{headers['x-amz-content-sha256']}"
    text = f"{_ALGORITHM}\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{keys.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    proof = f"{_ALGORITHM} Credential={keys.name}/{scope},SignedHeaders={names},Signature={signature}"
    return {**headers, "Authorization": proof}
