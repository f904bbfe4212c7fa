"""Running buildout on a profile, with errors that name its file and line: `python -m freehold.recipes.run PROFILE`."""

import hashlib
import logging
import re
import sys
import traceback
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from zc.buildout import UserError, _package_index, buildout
from zc.buildout.configparser import Error as SyntaxMistake

from freehold.escaping import NotText, text_of

_SECTION = re.compile(r"\[([^\]]+)\] ?(?:([\w.-]+)(?=:| '))?")
"""How our recipes begin what they say: `[section] option: …`."""
_OURS = (str(Path(__file__).parent), str(Path(buildout.__file__).parent))


def main(profile: str) -> None:
    """Run buildout; when something is wrong print what and where, and raise SystemExit."""
    _know_ourselves()
    # For a name that an index does not know buildout would read the list of all that it knows: 40 MB at PyPI, and a
    # minute of work, before it says so.
    _package_index.PackageIndex.scan_all = _nothing_else
    built: Any = None
    try:
        built = buildout.Buildout(profile, [], False, "install", ())
        built.install(())
    except SyntaxMistake as error:
        sys.exit(f"Error: {_unread(error)}")
    except UserError as error:
        sys.exit(f"Error: {_place(built, error)}{error}".strip())
    except UnicodeDecodeError as error:
        if words := undecodable(error):
            sys.exit(f"Error: {words}")
        traceback.print_exc()
        sys.exit(f"Error: {_place(built, error)}{_code(error)}{type(error).__name__}: {error}")
    except Exception as error:
        if recipe := next((step[2:] for step in _doing(error) if step[0] == "Loading %s recipe entry %s:%s."), None):
            sys.exit(f"Error: {_place(built, error)}there is no recipe '{':'.join(recipe)}'.")
        traceback.print_exc()
        sys.exit(f"Error: {_place(built, error)}{_code(error)}{type(error).__name__}: {error}")
    finally:
        logging.shutdown()


def undecodable(error: UnicodeDecodeError) -> str:
    """Return which profile is not text, and where, from the error with which buildout ended; empty for another file."""
    for name in reversed(_locals(error, "fpname")):
        try:
            text_of(Path(str(name).partition(" (downloaded as ")[0]))
        except NotText as not_text:
            return f"{not_text}."
        except OSError:
            pass
    return ""


def _nothing_else(index: Any, message: str = "", *words: object) -> None:
    """Stand for buildout's last resort."""


def _unread(error: SyntaxMistake) -> str:
    """Return where a profile cannot be read, and what stands there."""
    lines = getattr(error, "errors", []) or [(getattr(error, "lineno", 0), repr(getattr(error, "line", "")))]
    number, line = lines[0]
    return f"{error.filename}, line {number}: this is neither a section nor an option: {line.strip()}"


def _know_ourselves() -> None:
    """Tell buildout whether our recipes are still the same.

    It would hash the folder in which they are installed, with a thousand other modules: most of a second.
    """
    for own in {dist.location for dist in buildout.pkg_resources.working_set if dist.key == "freehold"}:
        packages = sorted(f"{package.name} {package.version}" for package in distributions(path=[own]))
        # They may be in the making, too.
        recipes = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
        buildout._dir_hashes.setdefault(own, hashlib.sha256("\n".join(packages).encode() + recipes).hexdigest())


def _place(built: Any, error: BaseException) -> str:
    """Return where in the profile the cause stands, as far as it can be known: `FILE, line N: `."""
    section, option = _culprit(error)
    if built is None:
        # Buildout is not there to be asked; the frames of its constructor hold what it is going to be.
        built = next((local for local in _locals(error, "self") if isinstance(local, buildout.Buildout)), None)
    options = getattr(built, "_annotated", {}).get(section)
    if not options:
        return ""
    known = options.get(option) or options.get("recipe") or next(iter(options.values()))
    path = Path(known.source)
    if not path.is_file():
        return ""
    lines = path.read_text(errors="replace").splitlines()
    return f"{path}, line {_line(lines, section, option)}: {_named(section, option, error)}"


def _culprit(error: BaseException) -> tuple[str, str]:
    """Return the section and the option that an error is about."""
    if match := _SECTION.match(str(error)):
        return match[1], match[2] or ""
    section = option = ""
    for doing, *about in _doing(error):
        if doing == "Getting option %s:%s.":
            section, option = about
        elif doing in ("Installing %s.", "Updating %s.", "Initializing section %s."):
            section, option = about[0], ""
        elif "recipe" in doing:
            option = "recipe"
    return (section, option) if section else ("buildout", "parts")


def _doing(error: BaseException) -> list[tuple[str, ...]]:
    """Return what buildout was doing, from the outer to the inner, in its own words."""
    return [local for local in _locals(error, "__doing__") if isinstance(local, tuple)]


def _locals(error: BaseException, name: str) -> list[Any]:
    """Return a local variable of every frame of an error that has it."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return [frame.f_locals[name] for frame in frames if name in frame.f_locals]


def _line(lines: list[str], section: str, option: str) -> int:
    """Return the line of an option in its section, or else that of the section."""
    line_number, inside = 1, False
    for number, line in enumerate(lines, 1):
        if line.startswith("["):
            inside = line.startswith(f"[{section}]")
            line_number = number if inside else line_number
        elif inside and option and re.match(rf"{re.escape(option)}\s*[+-]?=", line):
            return number
    return line_number


def _named(section: str, option: str, error: BaseException) -> str:
    return "" if _SECTION.match(str(error)) else f"[{section}] {option}: " if option else f"[{section}] "


def _code(error: BaseException) -> str:
    """Return the line of a recipe's own code, or of what a release develops, in which an exception came up."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line}: " if frames else ""


if __name__ == "__main__":
    main(sys.argv[1])
