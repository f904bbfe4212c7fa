"""The simulator builds another agent of other parts: it changes nothing in the code that it tries."""

import ast
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "src" / "freehold" / "simulator").glob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    """Return the names that an import binds, anywhere in a file: modules, classes and functions of others."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {(alias.asname or alias.name).split(".")[0] for node in imports for alias in node.names}


def changes(source: str) -> list[str]:
    """Return where something that was imported gets another attribute, or anything by `setattr`."""
    tree = ast.parse(source)
    names, lines = imported(tree), []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets) | ast.Delete(targets=targets):
                patched = any(isinstance(target, ast.Attribute) and root(target) in names for target in targets)
            case ast.AugAssign(target=ast.Attribute() as target) | ast.AnnAssign(target=ast.Attribute() as target):
                patched = root(target) in names
            case ast.Name(id=name):
                patched = name in ("setattr", "delattr", "globals", "vars")
            case _:
                patched = False
        if patched:
            lines.append(f"{node.lineno}: {ast.unparse(node)}")  # type: ignore[attr-defined]
    return lines


def root(expression: ast.expr) -> str:
    while isinstance(expression, ast.Attribute):
        expression = expression.value
    return expression.id if isinstance(expression, ast.Name) else ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_simulator_patches_nothing(path: Path) -> None:
    assert not changes(path.read_text()), "pass another part in (decision 0039)"


def test_this_would_be_noticed() -> None:
    patches = [
        "agent.time = world",
        "del sync.random",
        "sync.WAIT += 1",
        "setattr(c, 'now', f)",
        "Store.outbox = f",
    ]
    for patch in patches:
        imports = "from freehold.node import agent, sync, clock\nfrom freehold.node.state.store import Store\n"
        assert changes(imports + patch), patch
    assert not changes("from freehold.node import agent\nself.agent = agent.Agent(parts)\nnode.fragility = 0.0")
