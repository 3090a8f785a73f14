"""One file: what is rewritten in it, and what is left for a person to look at."""

import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor, ImportItem
from libcst.metadata import MetadataWrapper, Scope

from aibridge.codemod import edits
from aibridge.codemod.calls import look_at_call, look_at_comparison
from aibridge.codemod.clients import Kind
from aibridge.codemod.imports import look_at_import, look_at_import_from
from aibridge.codemod.names import Names, Undecided, dotted
from aibridge.codemod.plan import Edit, Finding, Plan, edited
from aibridge.codemod.tables import Table

__all__ = ["Finding", "Rewritten", "Unreadable", "rewrite"]

_PATH: Final = re.compile(r"\w+(\.\w+)*")
_CLIENT: Final = re.compile("client", re.IGNORECASE)
"""In the name of something that may well be a client."""


class Unreadable(Exception):  # noqa: N818 -- nothing went wrong: the file is skipped
    """A file that is not Python text, or cannot be written back byte for byte."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file as it becomes, and the places that were left, in the order of the text."""

    source: bytes
    findings: tuple[Finding, ...]


def rewrite(source: bytes, table: Table) -> Rewritten:
    """Rewrite a file.

    Raises:
        Unreadable: it cannot be parsed.
    """
    try:
        wrapper = MetadataWrapper(_parsed(source))
        plan = Plan(wrapper, Names(wrapper, table, _quoted(wrapper.module)))
        for node, annotated in _nodes(wrapper.module):
            _look_at(plan, node, annotated=annotated)
        changed = plan.carried_out()
        if plan.names.needed:
            imports = [ImportItem(home, name) for home, name in sorted(plan.names.needed)]
            changed = AddImportsVisitor(CodemodContext(), imports).transform_module(changed)
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    return Rewritten(changed.bytes, tuple(sorted(plan.findings)))


def _parsed(source: bytes) -> cst.Module:
    try:
        module = cst.parse_module(source)
    except cst.ParserSyntaxError as error:
        raise Unreadable(f"line {error.raw_line}: {error.message}") from None
    except (UnicodeDecodeError, LookupError, SyntaxError) as error:
        raise Unreadable(f"its encoding: {error}") from None
    if module.bytes != source:
        raise Unreadable("it has characters that would be lost, such as a form feed")
    return module


def _nodes(root: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, bool]]:
    """The nodes in which names are looked up, in the order of the text; and whether strings are types there."""
    waiting = [(root, False)]
    while waiting:
        node, annotated = waiting.pop()
        yield node, annotated
        below: Sequence[cst.CSTNode] = node.children
        match node:
            case cst.Import() | cst.ImportFrom() | cst.Global() | cst.Nonlocal():
                below = ()
            case cst.Attribute():
                below = () if dotted(node) else (node.value,)
            case cst.Arg():
                below = (node.value,)
            case cst.Param():
                below = tuple(part for part in (node.annotation, node.default) if part is not None)
            case cst.MatchKeywordElement():
                below = (node.pattern,)
            case cst.Annotation():
                annotated = True
            case cst.Call():
                annotated = False
            case cst.Subscript() if (dotted(node.value) or "").endswith("Literal"):
                annotated = False
        waiting += ((child, annotated) for child in reversed(below))


def _quoted(module: cst.Module) -> set[str]:
    """What may be names in strings: in `__all__`, `cast`, `getattr`, ... Modules are so only in lists."""
    found: set[str] = set()
    for node, annotated in _nodes(module):
        if isinstance(node, cst.SimpleString) and not annotated and str(node.evaluated_value)[:1].isupper():
            found.add(str(node.evaluated_value))
        if isinstance(node, cst.Element) and isinstance(node.value, cst.SimpleString):
            found.add(str(node.value.evaluated_value))
    return found


def _look_at(plan: Plan, node: cst.CSTNode, *, annotated: bool) -> None:
    scope = plan.names.scope(node)
    match node:
        case cst.SimpleString() if not (annotated and scope and _rewrite_type(plan, node, scope)):
            _look_at_string(plan, node)
    if scope is None or not plan.names.any:
        return
    match node:
        case cst.Import():
            look_at_import(plan, node, scope)
        case cst.ImportFrom():
            look_at_import_from(plan, node, scope)
        case cst.Name() | cst.Attribute():
            _rewrite_names(plan, node, scope)
            _rewrite_methods(plan, node, scope)
        case cst.Call():
            look_at_call(plan, node, scope)
        case cst.Comparison():
            look_at_comparison(plan, node)
        case cst.ClassDef() if any(plan.clients.is_class(base.value, scope) for base in node.bases):
            plan.look(node, "a class of clients of your own: look at what it overrides, and at calls of its methods")


def _rewrite_names(plan: Plan, node: cst.Name | cst.Attribute, scope: Scope) -> None:
    """Names with dots between them, when the first one is imported: only the part that changes is touched."""
    try:
        edit = _renaming(plan, node, scope)
    except Undecided as why:
        plan.look(node, str(why))
        return
    if edit is not None:
        plan.edit(*edit)


def _renaming(plan: Plan, node: cst.BaseExpression, scope: Scope) -> tuple[cst.CSTNode, Edit] | None:
    before = dotted(node)
    if before is None:
        return None
    after = plan.names.now(before, scope)
    while isinstance(node, cst.Attribute) and "." in after and after.endswith(f".{node.attr.value}"):
        node, after = node.value, after.rpartition(".")[0]
    return None if dotted(node) == after else (node, lambda updated: edits.as_was(updated, after))


def _rewrite_type(plan: Plan, node: cst.SimpleString, scope: Scope) -> bool:
    """A type that is written as a string; whether it is one."""
    try:
        expression = cst.parse_expression(str(node.evaluated_value))
    except cst.ParserSyntaxError:
        return False
    found: dict[cst.CSTNode, Edit] = {}
    for part, _ in _nodes(expression):
        try:
            if isinstance(part, (cst.Name, cst.Attribute)) and (edit := _renaming(plan, part, scope)):
                found[edit[0]] = edit[1]
        except Undecided as why:
            plan.look(node, str(why))
    if found:
        text = edited(cst.Module([cst.SimpleStatementLine([cst.Expr(expression)])]), found).code.strip()
        plan.edit(node, lambda updated: updated.with_changes(value=f"{node.prefix}{node.quote}{text}{node.quote}"))
    return True


def _rewrite_methods(plan: Plan, node: cst.CSTNode, scope: Scope) -> None:
    """`client.get_x` is `client.x`, and what was an argument of clients is no attribute of theirs."""
    while isinstance(node, cst.Attribute):
        name = node.attr.value
        if name in plan.table.headers:
            plan.look(node, f"{name} is gone: pass the header {plan.table.headers[name]}: true")
        if name.startswith(plan.table.method_prefix):
            _rewrite_method(plan, node, scope)
        node = node.value


def _rewrite_method(plan: Plan, node: cst.Attribute, scope: Scope) -> None:
    kind = plan.clients.kind(node.value, scope)
    new = node.attr.value.removeprefix(plan.table.method_prefix)
    if kind is Kind.CLIENT or plan.clients.is_class(node.value, scope):
        if new.isidentifier() and not keyword.iskeyword(new):
            plan.edit(node, lambda updated: updated.with_changes(attr=updated.attr.with_changes(value=new)))
        else:
            plan.look(node, f"{new!r} is no name in Python")
        return
    function = node.value.func if isinstance(node.value, cst.Call) else node.value
    called = (function.attr.value if isinstance(function, cst.Attribute) else dotted(function)) or ""
    if kind is Kind.MAYBE or (kind is Kind.UNKNOWN and _CLIENT.search(called)):
        plan.look(node, f"if {called} is a client of the SDK, this is {new} now")


def _look_at_string(plan: Plan, node: cst.SimpleString) -> None:
    text = node.evaluated_value
    if not isinstance(text, str):
        return
    if _PATH.fullmatch(text) and plan.table.is_old(text):
        plan.look(node, f"if this is a path of the SDK, it is {plan.table.renamed(text)} now")
    if text in plan.table.headers and plan.names.any:
        plan.look(node, f"if this is an argument of a client, pass the header {plan.table.headers[text]}: true")
