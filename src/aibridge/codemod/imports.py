"""Import statements: what is imported, from where, and under which name."""

from collections.abc import Sequence

import libcst as cst
from libcst.metadata import Scope

from aibridge.codemod import edits
from aibridge.codemod.names import Undecided, dotted
from aibridge.codemod.plan import Plan


def look_at_import(plan: Plan, node: cst.Import, scope: Scope) -> None:
    """Plan what `import a.b, c as d` becomes."""
    try:
        aliases = [_plain(plan, alias, scope) for alias in node.names]
    except Undecided as why:
        plan.look(node, str(why))
        return
    if any(not one.deep_equals(other) for one, other in zip(aliases, node.names, strict=True)):
        plan.edit(node, lambda updated: updated.with_changes(names=edits.once(aliases, aliases[-1])))


def look_at_import_from(plan: Plan, node: cst.ImportFrom, scope: Scope) -> None:
    """Plan what `from a import b, c as d` becomes: as many statements as there are modules now."""
    module = dotted(node.module)
    if node.relative or module is None:
        return
    if isinstance(node.names, cst.ImportStar):
        if plan.table.is_old(module):
            plan.look(node, "what a star imports is not known here: import the names")
        return
    parts = []
    for alias in node.names:
        name = dotted(alias.name) or ""
        home, dot, new = (plan.table.renamed(f"{module}.{name}") or "").rpartition(".")
        parts.append((home, edits.imported(alias, new, plan.names.local(name, scope))) if dot else (module, alias))
    statements = edits.regrouped(node, parts)
    if len(statements) > 1:
        _split(plan, node, statements)
    elif not statements[0].deep_equals(node):
        plan.edit(node, lambda _: statements[0])


def _plain(plan: Plan, alias: cst.ImportAlias, scope: Scope) -> cst.ImportAlias:
    path = dotted(alias.name) or ""
    new = plan.table.renamed(path)
    if new is None:
        return alias
    base = path.partition(".")[0]
    kept = alias.asname is None and plan.names.keeps_plain(base, scope)
    return edits.imported(alias, new, base if kept else new)


def _split(plan: Plan, node: cst.ImportFrom, statements: Sequence[cst.ImportFrom]) -> None:
    line = plan.names.parent(node)
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) > 1:
        plan.edit(node, lambda _: cst.FlattenSentinel(statements))
        return
    *first, last = statements

    def lines(updated: cst.SimpleStatementLine) -> cst.FlattenSentinel[cst.SimpleStatementLine]:
        bare = [cst.SimpleStatementLine([one]) for one in first]
        bare[0] = bare[0].with_changes(leading_lines=updated.leading_lines)
        return cst.FlattenSentinel([*bare, updated.with_changes(body=[last], leading_lines=[])])

    plan.edit(line, lines)
