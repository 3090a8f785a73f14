"""No role travels as a string: what is called a role in the source has the type of one.

A role's name without its organization says nothing of where it holds, which was lost more than once elsewhere. Where
text comes in or goes out, and nowhere else, roles are strings; these places are listed here, each with its reason.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "aibridge"
TEXT = {
    ("cli/members.py", "roles"): "what was typed",
    ("cli/users.py", "roles"): "what was typed",
    ("demo/conversation.py", "role"): "who speaks in a conversation",
    ("domain/roles.py", "ORGANIZATION_ROLES"): "the table by name: the organization is where one is held",
    ("domain/roles.py", "SITE_ROLES"): "the table by name",
    ("options.py", "oidc_user_role_default"): "what was typed",
    ("options.py", "oidc_user_role_field"): "the name of a claim",
    ("options.py", "oidc_user_role_mapping"): "what was typed",
}


def annotated(path: Path) -> Iterator[tuple[str, str]]:
    """What is called a role and said to be, or to hold, a string: names, with their annotations."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as kind):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind):
                pass
            case _:
                continue
        words = {part.id for part in ast.walk(kind) if isinstance(part, ast.Name)}
        if "role" in name.lower() and not name.endswith("_name") and "str" in words:
            yield name, ast.unparse(kind)


def found(root: Path) -> set[tuple[str, str]]:
    return {
        (path.relative_to(root).as_posix(), name) for path in sorted(root.rglob("*.py")) for name, _ in annotated(path)
    }


def test_roles_are_strings_only_where_text_comes_in_or_goes_out() -> None:
    assert found(SOURCE) == set(TEXT)


@pytest.mark.parametrize("line", ["def give(role: str) -> None: ...", "roles: list[str] = []", "a_role: str | None"])
def test_the_search_finds_a_role_that_is_a_string(tmp_path: Path, line: str) -> None:
    (tmp_path / "module.py").write_text(line)
    assert len(found(tmp_path)) == 1
