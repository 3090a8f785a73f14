"""How a piece of code is written anew: imports, arguments, roles. What to write is decided elsewhere."""

from collections.abc import Iterable, Sequence

import libcst as cst

_COMMA = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
_SIMPLE = (cst.Name, cst.Attribute, cst.Call, cst.Subscript)
"""What needs no parentheses between other words."""


def named(text: str) -> cst.Name | cst.Attribute:
    """Names with dots between them."""
    node = cst.parse_expression(text)
    if not isinstance(node, (cst.Name, cst.Attribute)):
        raise TypeError(text)
    return node


def as_was(node: cst.BaseExpression, text: str) -> cst.BaseExpression:
    """Other names in the place of an expression, within its parentheses."""
    return named(text).with_changes(lpar=node.lpar, rpar=node.rpar)


def imported(alias: cst.ImportAlias, name: str, local: str) -> cst.ImportAlias:
    """A part of an import, of another name; `local` is what it is called in the file."""
    if alias.asname is not None or local == name:
        return alias.with_changes(name=named(name))
    return alias.with_changes(name=named(name), asname=cst.AsName(cst.Name(local)))


def once(aliases: Iterable[cst.ImportAlias], end: cst.ImportAlias) -> list[cst.ImportAlias]:
    """The parts of an import, each once; the last one ends as the import did, with a comma or without."""
    kept: dict[str, cst.ImportAlias] = {}
    for alias in aliases:
        kept.setdefault(cst.Module([]).code_for_node(alias.with_changes(comma=cst.MaybeSentinel.DEFAULT)), alias)
    *first, last = kept.values()
    return [
        *(alias if isinstance(alias.comma, cst.Comma) else alias.with_changes(comma=_COMMA) for alias in first),
        last.with_changes(comma=end.comma),
    ]


def regrouped(node: cst.ImportFrom, parts: Sequence[tuple[str, cst.ImportAlias]]) -> list[cst.ImportFrom]:
    """`from ... import ...`, once per module: every part comes with the module it is imported from now."""
    modules = dict.fromkeys(module for module, _ in parts)
    end = parts[-1][1]
    return [
        node.with_changes(module=named(module), names=once((one for where, one in parts if where == module), end))
        for module in modules
    ]


def with_header(call: cst.Call, place: int, header: str, argument: str) -> cst.Call:
    """A call without its argument at this place, which said yes or no, and with a header that says the same."""
    args = list(call.args)
    value = args[place].value
    if isinstance(value, cst.Name) and value.value in ("False", "None"):
        return call.with_changes(args=_without(args, place))
    said: cst.BaseExpression = cst.SimpleString('"true"')
    if not (isinstance(value, cst.Name) and value.value == "True"):
        test = value if value.lpar or isinstance(value, _SIMPLE) else _parenthesized(value)
        said = cst.IfExp(test=test, body=said, orelse=cst.SimpleString('"false"'))
    entry = cst.DictElement(cst.SimpleString(f'"{header}"'), said)
    for at, arg in enumerate(args):
        if arg.keyword is not None and arg.keyword.value == argument:
            args[at] = arg.with_changes(value=_extended(arg.value, entry))
            return call.with_changes(args=_without(args, place))
    args[place] = args[place].with_changes(keyword=cst.Name(argument), value=cst.Dict([entry]))
    return call.with_changes(args=args)


def constructed(function: str, value: cst.BaseExpression) -> cst.Call:
    """A call of a function with one argument."""
    return cst.Call(func=named(function), args=[cst.Arg(value)])


def _without(args: list[cst.Arg], place: int) -> list[cst.Arg]:
    if place == len(args) - 1 and place > 0:
        args[place - 1] = args[place - 1].with_changes(
            comma=args[place].comma, whitespace_after_arg=args[place].whitespace_after_arg
        )
    return args[:place] + args[place + 1 :]


def _parenthesized(value: cst.BaseExpression) -> cst.BaseExpression:
    return value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _extended(headers: cst.BaseExpression, entry: cst.DictElement) -> cst.Dict:
    """A dictionary with one more entry; headers that are not spelled out may be None."""
    if isinstance(headers, cst.Name) and headers.value == "None":
        return cst.Dict([entry])
    if not isinstance(headers, cst.Dict):
        some = cst.BooleanOperation(headers, cst.Or(), cst.Dict([]))
        return cst.Dict([cst.StarredDictElement(_parenthesized(some)), entry])
    if not headers.elements:
        return headers.with_changes(elements=[entry])
    *first, last = headers.elements
    if isinstance(last.comma, cst.Comma):  # and after it, as a rule, a line break
        before = first[-1].comma if first else _COMMA
        return headers.with_changes(
            elements=[*first, last.with_changes(comma=before), entry.with_changes(comma=last.comma)]
        )
    return headers.with_changes(elements=[*first, last.with_changes(comma=_COMMA), entry])
