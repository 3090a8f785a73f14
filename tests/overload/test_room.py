"""What the room promises about itself: it can be lifted out and used anywhere."""

import ast
import sys
from pathlib import Path

import aibridge.overload

FILES = sorted(Path(aibridge.overload.__path__[0]).glob("*.py"))


def imported(path: Path) -> set[str]:
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_it_imports_the_standard_library_and_itself_only() -> None:
    for path in FILES:
        for name in imported(path):
            assert name.startswith("aibridge.overload.") or name.partition(".")[0] in sys.stdlib_module_names


def test_only_the_asgi_middleware_knows_a_clock_or_chance() -> None:
    for path in FILES:
        if path.name != "asgi.py":
            assert not imported(path) & {"time", "random", "datetime", "secrets", "os", "asyncio", "threading"}
