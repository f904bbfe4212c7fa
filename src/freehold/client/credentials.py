"""Where a logged-in person's token is kept: one file, readable by its owner only."""

import os
from pathlib import Path

import msgspec

from freehold import durable
from freehold.client.errors import ClientError
from freehold.protocol import UNREADABLE


class Credentials(msgspec.Struct, frozen=True):
    """How to reach a Master, and as whom."""

    master: str
    """Its URL."""
    token: str
    project: str
    """The project that commands speak of unless told otherwise."""
    authority: str = ""
    """PEM of the only authority to trust for this Master; empty: those that the system trusts."""
    token_id: str = ""
    """By which the Master lists the token; empty: logged in with a version that did not keep it."""


def credentials_path() -> Path:
    """Return the file: `$FREEHOLD_CREDENTIALS`, or `~/.config/freehold/credentials.json`."""
    named = os.environ.get("FREEHOLD_CREDENTIALS")
    return Path(named) if named else Path.home() / ".config" / "freehold" / "credentials.json"


def load_credentials(path: Path | None = None) -> Credentials:
    """Return the saved credentials; raise ClientError when there are none."""
    path = path or credentials_path()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Credentials)
    except FileNotFoundError:
        raise ClientError("You are not logged in. Run: freehold login URL --email YOU") from None
    except UNREADABLE as error:
        raise ClientError(f"{path} cannot be read ({error}). Log in again.") from None
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {error.strerror}.") from None


def save_credentials(credentials: Credentials, path: Path | None = None) -> Path:
    """Save credentials, replacing what was there, and return the file; raise ClientError when that fails."""
    path = path or credentials_path()
    try:
        durable.replace(path, msgspec.json.encode(credentials), 0o600, folder_mode=0o700)
    except OSError as error:
        raise ClientError(f"{path} cannot be written: {error.strerror}.") from None
    return path


def remove_credentials(path: Path | None = None) -> Path:
    """Remove the saved credentials, and return the file that held them; raise ClientError when that fails."""
    path = path or credentials_path()
    try:
        path.unlink(missing_ok=True)
        durable.sync_names(path.parent)
    except OSError as error:
        raise ClientError(f"{path} cannot be removed: {error.strerror}.") from None
    return path
