"""Which room may import which, and which packages only one file may know."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("agent", "vlm", "tools", "datasets", "eval")

ARROWS: dict[str, set[str]] = {
    "datasets": set(),
    "vlm": {"datasets"},
    "tools": {"vlm", "datasets"},
    "agent": {"vlm", "datasets"},
    "eval": {"agent", "vlm", "tools", "datasets"},
    "app": {"agent", "datasets"},
}
# file → what it may import beyond its room's arrows
ALSO: dict[str, set[str]] = {
    "agent/session.py": {"tools.pointed", "tools.server", "tools.store"},
    "app.py": {"tools.store"},
}
EXEMPT = "agent/cli.py"
# package → the only files that may import it
KEEPERS: dict[str, set[str]] = {
    "mcp": {"tools/server.py", "agent/session.py", "agent/mcp_tools.py", "eval/tool_matrix.py"},
    "gradio": {"app.py"},
    "langgraph": {"agent/graph.py", "agent/session.py"},
    "inspect_ai": {
        "eval/answerers.py",
        "eval/bench_vlm.py",
        "eval/inputs.py",
        "eval/inspect_run.py",
        "eval/running.py",
    },
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Path relative to the root and syntax tree of every source file."""
    for path in [ROOT / "app.py", *(p for room in ROOMS for p in (ROOT / room).glob("*.py"))]:
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Every module name that a file imports, at the top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_rooms_import_only_along_the_arrows() -> None:
    wrong = []
    for name, tree in sources():
        if name == EXEMPT:
            continue
        room = name.split("/")[0].removesuffix(".py")
        for module in imported(tree):
            if not module.startswith("terralogue."):
                continue
            target = module.removeprefix("terralogue.")
            other = target.split(".")[0]
            if other != room and other not in ARROWS[room] and target not in ALSO.get(name, set()):
                wrong.append(f"{name} imports {module}")
    assert wrong == []


def test_a_library_is_known_to_its_keeper_alone() -> None:
    wrong = [
        f"{name} imports {module}"
        for name, tree in sources()
        for module in imported(tree)
        for package, keepers in KEEPERS.items()
        if module.split(".")[0] == package and name not in keepers
    ]
    assert wrong == []


def test_the_command_line_imports_no_room_before_a_subcommand_is_called() -> None:
    tree = ast.parse((ROOT / EXEMPT).read_text(encoding="utf-8"))
    top = [
        node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("terralogue.")
    ]
    assert all(module == "terralogue.datasets.errors" for module in top)


def test_no_source_file_is_longer_than_500_lines() -> None:
    files = [ROOT / name for name, _ in sources()]
    assert [f.name for f in files if len(f.read_text(encoding="utf-8").splitlines()) > 500] == []
