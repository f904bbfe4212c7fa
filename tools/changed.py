"""Which tests a change can break: those that import what changed, the nearest first.

A test file is as far from a change as there are imports between the two, of which those inside functions count as well.
What is reached by the network or as a command only, journeys and the browser above all, is not found in this way: it is
run when its own file changed, and by the whole run.
"""

import ast
import subprocess
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path

BEYOND_IMPORTS = ("tests/journeys", "tests/browser", "tests/chaos")
"""Tests that import little of what they try: each is run when it changed itself."""
TEXTS = {
    ".md": ["tests/unit/test_claims.py", "tests/unit/test_decisions.py"],
    ".html": ["tests/unit/master/test_panel.py", "tests/unit/master/test_panel_languages.py"],
    ".po": ["tests/unit/master/test_panel_languages.py"],
    ".toml": ["tests/unit/test_names.py"],
}
"""By the ending of a file that nothing imports: the tests that read such files."""


def changed_files(repository: Path, since: str) -> list[str]:
    """Return the paths that differ from a commit, those that git does not know yet included."""

    def git(*words: str) -> list[str]:
        done = subprocess.run(["git", *words], cwd=repository, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    return sorted({*git("diff", "--name-only", since), *git("ls-files", "--others", "--exclude-standard")})


def tests_of(repository: Path, changed: Iterable[str]) -> list[str]:
    """Return the paths of the test files that these changes can break, the nearest first."""
    sources = [path for folder in ("src", "tests", "software") for path in sorted((repository / folder).rglob("*.py"))]
    names = {path.relative_to(repository).as_posix(): _module(path.relative_to(repository)) for path in sources}
    imported_by = _imported_by({path: _imports(repository / path) for path in names}, names)
    chosen: dict[str, int] = {}
    for path in changed:
        for read in TEXTS.get(Path(path).suffix, []):
            chosen[read] = 0
        for begun in _begin(repository, path, names):
            for test, far in _distances(begun, imported_by).items():
                if far == 0 or not test.startswith(BEYOND_IMPORTS):
                    chosen[test] = min(far, chosen.get(test, far))
    existing = [path for path in chosen if (repository / path).exists()]
    return sorted(existing, key=lambda path: (chosen[path], not _is_namesake(path, changed), path))


def _begin(repository: Path, path: str, names: Mapping[str, str]) -> list[str]:
    """Return the Python files that a changed one stands for: itself, or who loads it."""
    if path in names:
        return [path]
    # SQL and other data are loaded by a module of the room, which names them.
    room = Path(path).parent.parent if Path(path).suffix == ".sql" else Path(path).parent
    inside = [one for one in names if Path(one).is_relative_to(room)]
    return [one for one in inside if Path(path).name in (repository / one).read_text()]


def _distances(begun: str, imported_by: Mapping[str, set[str]]) -> dict[str, int]:
    """Return how many imports each test file is away from a file."""
    far, waiting = {begun: 0}, deque([begun])
    while waiting:
        path = waiting.popleft()
        for other in imported_by.get(path, ()):
            if other not in far:
                far[other] = far[path] + 1
                waiting.append(other)
    return {path: steps for path, steps in far.items() if Path(path).name.startswith("test_")}


def _imported_by(imports: Mapping[str, set[str]], names: Mapping[str, str]) -> dict[str, set[str]]:
    paths = {name: path for path, name in names.items()}
    found: dict[str, set[str]] = {}
    for path, wanted in imports.items():
        for name in wanted:
            if name in paths and paths[name] != path:
                found.setdefault(paths[name], set()).add(path)
    return found


def _imports(path: Path) -> set[str]:
    """Return the names of modules that a file imports; `from a import b` may mean the module `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{one.name}" for one in node.names)
    return found


def _module(path: Path) -> str:
    parts = path.with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_namesake(test: str, changed: Iterable[str]) -> bool:
    words = {word for path in changed for word in Path(path).with_suffix("").parts}
    return Path(test).stem.removeprefix("test_") in words
