"""Which expressions of a file are certainly clients of the SDK."""

from collections.abc import Iterable
from enum import Enum, auto

import libcst as cst
from libcst.metadata import Assignment, BaseAssignment, Scope

from aibridge.codemod.names import Names, dotted, is_none


class Kind(Enum):
    """What is known of an expression."""

    CLIENT = auto()
    MAYBE = auto()  # a client among other things
    UNKNOWN = auto()
    OTHER = auto()
    NOTHING = auto()  # None


_Fields = dict[str, list[tuple[cst.Assign | cst.AnnAssign, Scope]]]
_TRANSPARENT = frozenset({"Optional", "Annotated", "Final", "ClassVar"})
"""Types around the type that matters."""
_VAGUE = frozenset({"Any", "object"})
_LITERALS = (cst.BaseString, cst.BaseNumber, cst.BaseDict, cst.BaseList, cst.BaseSet, cst.Tuple, cst.Lambda)


class Clients:
    """Follows imports, assignments, annotations, `with`, and `self.name` within a class; nothing across files."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._asked: set[object] = set()
        """What is being found out: whoever asks again has gone round in a circle."""
        self._fields: dict[cst.ClassDef, _Fields] = {}

    def kind(self, node: cst.BaseExpression, scope: Scope) -> Kind:
        """What is known of the value of an expression."""
        match node:
            case cst.Name():
                kind = Kind.NOTHING if is_none(node) else _all(self._bound(one) for one in scope[node.value])
            case cst.NamedExpr():
                kind = self.kind(node.value, scope)
            case cst.IfExp():
                kind = _all([self.kind(node.body, scope), self.kind(node.orelse, scope)])
            case cst.Call():
                kind = Kind.CLIENT if self.is_class(node.func, scope) else self._returned(node, scope, awaited=False)
            case cst.Await(expression=cst.Call() as call):
                kind = self._returned(call, scope, awaited=True)
            case cst.Attribute(value=cst.Name() as name):
                kind = self._field(name, node.attr.value, scope)
            case _:
                kind = Kind.OTHER if isinstance(node, _LITERALS) else Kind.UNKNOWN
        return kind

    def is_class(self, node: cst.BaseExpression, scope: Scope) -> bool:
        """Whether an expression is a class of clients."""
        text = dotted(node)
        path = text and self._names.path(text, scope)
        return bool(path) and self._names.table.is_client(path or "")

    def _bound(self, bound: BaseAssignment) -> Kind:
        if bound in self._asked or not isinstance(bound, Assignment):
            return Kind.UNKNOWN
        self._asked.add(bound)
        try:
            return self._assigned(bound.node, bound.scope)
        finally:
            self._asked.remove(bound)

    def _assigned(self, node: cst.CSTNode, scope: Scope) -> Kind:
        if isinstance(node, cst.Param):
            return Kind.OTHER if node.star in ("*", "**") else self._annotated(node.annotation, scope)
        match self._names.parent(node):
            case cst.AssignTarget() as target:
                statement = self._names.parent(target)
                return self._kind_set(statement, scope) if isinstance(statement, cst.Assign) else Kind.UNKNOWN
            case cst.AnnAssign() as statement:
                return self._kind_set(statement, scope)
            case cst.NamedExpr() as expression:
                return self.kind(expression.value, scope)
            case cst.AsName() as name:
                item = self._names.parent(name)
                return self.kind(item.item, scope) if isinstance(item, cst.WithItem) else Kind.UNKNOWN
        return Kind.UNKNOWN

    def _annotated(self, annotation: cst.Annotation | None, scope: Scope) -> Kind:
        return Kind.UNKNOWN if annotation is None else self._typed(annotation.annotation, scope)

    def _typed(self, node: cst.BaseExpression, scope: Scope) -> Kind:
        match node:
            case cst.SimpleString():
                return self._typed(_parsed(node), scope)
            case cst.BinaryOperation(operator=cst.BitOr()):
                return _all([self._typed(node.left, scope), self._typed(node.right, scope)])
            case cst.Subscript(slice=[cst.SubscriptElement(slice=cst.Index(value=inner)), *_]):
                last = (dotted(node.value) or "").rpartition(".")[2]
                return self._typed(inner, scope) if last in _TRANSPARENT else Kind.OTHER
        if is_none(node):
            return Kind.NOTHING
        if self.is_class(node, scope):
            return Kind.CLIENT
        return Kind.UNKNOWN if (dotted(node) or "").rpartition(".")[2] in _VAGUE else Kind.OTHER

    def _returned(self, call: cst.Call, scope: Scope, *, awaited: bool) -> Kind:
        """A function of this file says what it returns."""
        bound = list(scope[call.func.value]) if isinstance(call.func, cst.Name) else []
        match bound:
            case [Assignment(node=cst.FunctionDef(decorators=[]) as function, scope=defined)]:
                if bool(function.asynchronous) == awaited:
                    return self._annotated(function.returns, defined)
        return Kind.UNKNOWN

    def _field(self, name: cst.Name, field: str, scope: Scope) -> Kind:
        owner = self._class_of(name, scope)
        if owner is None or (owner, field) in self._asked:
            return Kind.UNKNOWN
        if owner not in self._fields:
            self._fields[owner] = self._fields_of(owner)
        self._asked.add((owner, field))
        try:
            return _all(self._kind_set(node, within) for node, within in self._fields[owner].get(field, ()))
        finally:
            self._asked.remove((owner, field))

    def _fields_of(self, owner: cst.ClassDef) -> _Fields:
        """Where a class sets its fields."""
        found: _Fields = {}
        for node in nodes(owner):
            if not isinstance(node, (cst.Assign, cst.AnnAssign)):
                continue
            targets = [one.target for one in node.targets] if isinstance(node, cst.Assign) else [node.target]
            for target in targets:
                scope = self._names.scope(target)
                field = scope and self._target(target, scope, owner)
                if scope and field:
                    found.setdefault(field, []).append((node, scope))
        return found

    def _kind_set(self, node: cst.Assign | cst.AnnAssign, scope: Scope) -> Kind:
        if isinstance(node, cst.AnnAssign):
            return self._annotated(node.annotation, scope)
        return self.kind(node.value, scope)

    def _target(self, target: cst.BaseExpression, scope: Scope, owner: cst.ClassDef) -> str | None:
        """The field of a class that an assignment in it sets."""
        match target:
            case cst.Attribute(value=cst.Name() as name) if self._class_of(name, scope) is owner:
                return target.attr.value
            case cst.Name() if self._names.parent(self._names.parent(self._statement(target))) is owner:
                return target.value
        return None

    def _statement(self, node: cst.CSTNode) -> cst.CSTNode:
        while not isinstance(node, (cst.SimpleStatementLine, cst.SimpleStatementSuite)):
            node = self._names.parent(node)
        return node

    def _class_of(self, name: cst.Name, scope: Scope) -> cst.ClassDef | None:
        """The class whose method has this name as its first parameter."""
        match list(scope[name.value]):
            case [Assignment(node=cst.Param() as parameter)]:
                function = self._names.parent(self._names.parent(parameter))
                if isinstance(function, cst.FunctionDef) and function.params.params[:1] == (parameter,):
                    owner = self._names.parent(self._names.parent(function))
                    return owner if isinstance(owner, cst.ClassDef) else None
        return None


def nodes(root: cst.CSTNode) -> Iterable[cst.CSTNode]:
    """A node and all below it, in the order of the text."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def _parsed(text: cst.SimpleString) -> cst.BaseExpression:
    try:
        return cst.parse_expression(str(text.evaluated_value))
    except cst.ParserSyntaxError:
        return cst.Name("Any")


def _all(kinds: Iterable[Kind]) -> Kind:
    """What is known of a value that is one of these; it is no use of a client where it is None."""
    found = set(kinds)
    some = found - {Kind.NOTHING}
    if len(some) == 1:
        return some.pop()
    if Kind.CLIENT in some or Kind.MAYBE in some:
        return Kind.MAYBE
    if not found or some:
        return Kind.UNKNOWN
    return Kind.NOTHING
