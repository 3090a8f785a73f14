"""Arguments of calls: those that became headers, roles that were strings, and names of methods in strings."""

from functools import partial

import libcst as cst
from libcst.metadata import Scope

from aibridge.codemod import edits
from aibridge.codemod.clients import Kind
from aibridge.codemod.names import Undecided, dotted, is_none
from aibridge.codemod.plan import Plan


def look_at_call(plan: Plan, call: cst.Call, scope: Scope) -> None:
    """Plan what a call in a file that uses the SDK becomes."""
    makes_client = plan.clients.is_class(call.func, scope)
    _headers(plan, call, makes_client=makes_client)
    if makes_client or _is_of_sdk(plan, call.func, scope):
        _roles(plan, call, scope)
    _methods(plan, call, scope)


def look_at_comparison(plan: Plan, node: cst.Comparison) -> None:
    """Point to a string that is compared with a role."""
    sides = [node.left, *(one.comparator for one in node.comparisons)]
    names = {side.attr.value for side in sides if isinstance(side, cst.Attribute)}
    if names & plan.table.roles.arguments and any(isinstance(side, cst.BaseString) for side in sides):
        plan.look(node, f"a role is no string any more; if this is one, compare it with a {plan.table.roles.name}")


def _headers(plan: Plan, call: cst.Call, *, makes_client: bool) -> None:
    open_ended = any(arg.star == "**" for arg in call.args)
    for place, arg in enumerate(call.args):
        argument = arg.keyword.value if arg.keyword else ""
        header = plan.table.headers.get(argument)
        if header is None:
            continue
        if makes_client and not open_ended:
            plan.edit(
                call, partial(edits.with_header, place=place, header=header, argument=plan.table.headers_argument)
            )
        else:
            plan.look(arg, f"{argument}= is gone: pass the header {header}: true")
    if makes_client and open_ended and plan.names.any_old:
        plan.look(call, f"these arguments must not have {', '.join(plan.table.headers)} among them any more")


def _is_of_sdk(plan: Plan, function: cst.BaseExpression, scope: Scope) -> bool:
    text = dotted(function)
    if text and plan.names.path(text, scope):
        return True
    return isinstance(function, cst.Attribute) and plan.clients.kind(function.value, scope) is Kind.CLIENT


def _roles(plan: Plan, call: cst.Call, scope: Scope) -> None:
    arguments = plan.table.roles.arguments
    named = [arg.value for arg in call.args if arg.keyword is not None and arg.keyword.value in arguments]
    for value in named:
        for role in _elements(value):
            _role(plan, role, scope)
    method = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
    if plan.names.any_old and not named and call.args and arguments.intersection(method.split("_")):
        last = call.args[-1]
        if last.keyword is None and any(isinstance(node, cst.BaseString) for node in _elements(last.value)):
            plan.look(last, f"if this is a role, it must be a {plan.table.roles.name}")


def _elements(value: cst.BaseExpression) -> list[cst.BaseExpression]:
    """Those of a list, tuple or set that is spelled out; else the value itself."""
    return [one.value for one in value.elements] if isinstance(value, (cst.List, cst.Tuple, cst.Set)) else [value]


def _role(plan: Plan, value: cst.BaseExpression, scope: Scope) -> None:
    roles = plan.table.roles
    match value:
        case cst.SimpleString() | cst.ConcatenatedString():
            text = value.evaluated_value
            if text is not None and not (isinstance(text, str) and roles.form.fullmatch(text)):
                plan.look(value, "this is no role: neither a name nor name:organization")
                return
        case cst.FormattedString():
            pass
        case _:
            if plan.names.any_old and not is_none(value) and not _is_role(plan, value, scope):
                plan.look(value, f"roles are {roles.name} now; a string must go through {roles.name}.{roles.parse}")
            return
    try:
        name = plan.names.need(roles.home, roles.name)
    except Undecided as why:
        plan.look(value, str(why))
        return
    plan.edit(value, lambda updated: edits.constructed(f"{name}.{roles.parse}", updated))


def _is_role(plan: Plan, value: cst.BaseExpression, scope: Scope) -> bool:
    text = dotted(value.func) if isinstance(value, cst.Call) else None
    path = text and plan.names.path(text, scope)
    return bool(path) and plan.table.roles.name in (path or "").split(".")


def _methods(plan: Plan, call: cst.Call, scope: Scope) -> None:
    """`getattr(client, "get_x")` and the like."""
    if not any(
        plan.clients.kind(arg.value, scope) is Kind.CLIENT or plan.clients.is_class(arg.value, scope)
        for arg in call.args
    ):
        return
    for arg in call.args:
        text = arg.value.evaluated_value if isinstance(arg.value, cst.SimpleString) else None
        if isinstance(text, str) and text.startswith(plan.table.method_prefix):
            plan.look(arg, f"methods of clients are called without {plan.table.method_prefix}")
