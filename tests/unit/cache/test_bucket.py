"""A private bucket: filled and read by whoever has its keys, and by nobody else."""

import calendar
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from freehold import cli
from freehold.cache.bucket import Bucket, Keys, keys_for, signed
from freehold.cache.folder import CacheError, Folder, read
from freehold.cache.mirrors import Mirrors, mirror
from freehold.protocol.cache import PIECE, BuildStatement, CacheEntry, CacheKind, File, blob_path

KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
"""Of the examples of the standard: "Signature Calculations for the Authorization Header", Amazon S3 API reference."""
MOMENT = calendar.timegm((2013, 5, 24, 0, 0, 0))
HOST = "https://examplebucket.s3.amazonaws.com"
SKEW = 900


@pytest.mark.parametrize(
    ("method", "path", "content", "more", "signature"),
    [
        ("GET", "/test.txt", b"", {"range": "bytes=0-9"},
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("PUT", "/test%24file.text", b"Welcome to Amazon S3.",
         {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    ],
)  # fmt: skip
def test_requests_are_signed_as_the_standard_says(
    method: str, path: str, content: bytes, more: dict[str, str], signature: str
) -> None:
    headers = signed(method, HOST + path, content, KEYS, MOMENT, more)
    assert headers["Authorization"].endswith(f"Signature={signature}")


class Store:
    """A small store that refuses what is not signed by its keys, about now, for just this content."""

    def __init__(self, keys: Keys, ahead: float = 0.0) -> None:
        self.kept: dict[str, bytes] = {}
        self.ahead = ahead
        self.torn = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self, content: bytes = b"") -> None:
                status, answer = outer.answer(self, keys, content)
                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + outer.ahead, usegmt=True))
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer[: len(answer) // 2] if outer.torn else answer)

            def do_GET(self) -> None:
                self._answer()

            def do_HEAD(self) -> None:
                self._answer()

            def do_PUT(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"s3+http://127.0.0.1:{self._server.server_port}/builds/ours"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler, keys: Keys, content: bytes) -> tuple[int, bytes]:
        said = request.headers.get("Authorization")
        if said is None:
            return 403, b"<Error><Code>AccessDenied</Code></Error>"
        if request.command == "PUT" and request.headers["Content-Type"] != "application/octet-stream":
            return 400, b"<Error><Code>NoForms</Code></Error>"
        if request.headers["x-amz-content-sha256"] != hashlib.sha256(content).hexdigest():
            return 400, b"<Error><Code>XAmzContentSHA256Mismatch</Code></Error>"
        moment = calendar.timegm(time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        if abs(moment - time.time() - self.ahead) > SKEW:
            return 403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
        url = f"http://{request.headers['Host']}{request.path}"
        if signed(str(request.command), url, content, keys, moment)["Authorization"] != said:
            return 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"
        if request.command == "PUT":
            self.kept[request.path] = content
            return 200, b""
        if request.path not in self.kept:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>"
        return 200, self.kept[request.path]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store(KEYS)
    yield made
    made.stop()


@pytest.fixture
def shelf(tmp_path: Path) -> Folder:
    """A cache with one release of two pieces."""
    folder = Folder(tmp_path / "kept")
    pieces = [folder.put(b"x" * PIECE), folder.put(b"rest")]
    folder.keep(_entry("one", pieces))
    return folder


def _entry(builder: str, pieces: list[str]) -> CacheEntry:
    import msgspec

    said = BuildStatement(CacheKind.BUILD, "a" * 64, "any", builder, 1.0, [File("build.tar.gz", PIECE + 4, pieces)])
    return CacheEntry(msgspec.json.encode(said), "", b"")


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "FREEHOLD_STORE_KEYS"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "keys"
    file.write_text(f"[default]\naws_access_key_id = {KEYS.name}\naws_secret_access_key = {KEYS.secret}\n")
    file.chmod(0o600)
    return file


def test_a_provider_fills_a_bucket_and_a_node_reads_it(store: Store, shelf: Folder, keys: Path, tmp_path: Path) -> None:
    command = ["cache", "export", "--folder", str(shelf.root), "--keys", str(keys), store.url]
    assert cli.main(command) == 0
    assert cli.main(command) == 0, "again: it has all of it"
    told: list[str] = []
    node = Mirrors(Folder(tmp_path / "node"), [mirror(store.url, keys)], told.append)
    (entry,) = node.entries(CacheKind.BUILD, "a" * 64, "any")
    assert entry == _entry("one", [hashlib.sha256(one).hexdigest() for one in (b"x" * PIECE, b"rest")])
    assert node.blob(hashlib.sha256(b"rest").hexdigest()) == b"rest"
    assert node.blob("b" * 64) is None
    assert told == []


def test_what_others_said_in_a_bucket_stays(store: Store, shelf: Folder, keys: Path) -> None:
    bucket = Bucket(store.url, KEYS)
    bucket.keep(_entry("other", ["c" * 64]))
    assert cli.main(["cache", "export", "--folder", str(shelf.root), "--keys", str(keys), store.url]) == 0
    node = Mirrors(Folder(shelf.root / "none"), [bucket], lambda words: None)
    assert [b'"one"' in one.statement for one in node.entries(CacheKind.BUILD, "a" * 64, "any")] == [True, False]


def test_a_list_that_comes_torn_is_not_taken_for_an_empty_one(store: Store, shelf: Folder, keys: Path) -> None:
    bucket = Bucket(store.url, keys_for(store.url, keys))
    for entry in shelf.entries(CacheKind.BUILD, "a" * 64, "any"):
        bucket.keep(entry)
    store.torn = True
    with pytest.raises(OSError, match="too early"):
        bucket.keep(_entry("two", []))
    store.torn = False
    bucket.keep(_entry("two", []))
    there = Mirrors(Folder(shelf.root.parent / "other"), [bucket], print)
    assert {read(one).builder for one in there.entries(CacheKind.BUILD, "a" * 64, "any")} == {"one", "two"}


def test_wrong_keys_are_told_from_what_is_not_there_and_change_nothing(
    store: Store, shelf: Folder, keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.write_text(keys.read_text().replace("wJalr", "wrong"))
    assert cli.main(["cache", "export", "--folder", str(shelf.root), "--keys", str(keys), store.url]) == 1
    assert "SignatureDoesNotMatch" in capsys.readouterr().err
    assert store.kept == {}
    told: list[str] = []
    node = Mirrors(Folder(tmp_path / "node"), [mirror(store.url, keys)], told.append)
    assert node.blob("b" * 64) is None
    assert "SignatureDoesNotMatch" in told[0]


@pytest.mark.parametrize("ahead", [86_400.0, -86_400.0])
def test_a_machine_whose_clock_is_wrong_signs_by_the_clock_of_the_store(ahead: float) -> None:
    store = Store(KEYS, ahead)
    try:
        bucket = Bucket(store.url, KEYS)
        piece = bucket.put(b"content")
        assert bucket.fetch(blob_path(piece), 100) == b"content"
    finally:
        store.stop()


def test_keys_are_never_shown_and_never_read_from_where_others_can(store: Store, keys: Path) -> None:
    assert KEYS.secret not in repr(KEYS)
    keys.chmod(0o644)
    with pytest.raises(CacheError, match="chmod 600"):
        keys_for(store.url, keys)
    keys.chmod(0o600)
    keys.write_text(f"what is this {KEYS.secret}")
    with pytest.raises(CacheError) as caught:
        keys_for(store.url, keys)
    assert KEYS.secret not in str(caught.value)


def test_a_host_has_keys_of_its_own_in_the_same_file(store: Store, keys: Path) -> None:
    host = re.findall(r"//([^/]+)/", store.url)[0]
    keys.write_text(f"{keys.read_text()}[{host}]\naws_access_key_id = a\naws_secret_access_key = b\nregion = eu\n")
    assert keys_for(store.url, keys) == Keys("a", "b", "eu")
    assert keys_for("s3+https://elsewhere.example/x", keys).name == KEYS.name


def test_the_environment_has_keys_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu"})
    assert keys_for(store.url, None) == Keys("a", "b", "eu")
    monkeypatch.setattr(os, "environ", {})
    with pytest.raises(CacheError, match="no keys"):
        keys_for(store.url, None)


def test_a_store_that_is_not_there_is_told(shelf: Folder, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["cache", "export", "--folder", str(shelf.root), "--keys", str(keys)]
    assert cli.main([*command, "s3+http://127.0.0.1:9/builds"]) == 1
    assert "cannot be filled" in capsys.readouterr().err
    assert cli.main([*command, "https://plain.example/builds"]) == 1
    assert "neither a folder nor a bucket" in capsys.readouterr().err
