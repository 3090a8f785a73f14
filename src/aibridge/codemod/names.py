"""What the names of a file mean to the SDK, and what they are called afterwards."""

import builtins
from collections import defaultdict
from collections.abc import Collection

import libcst as cst
from libcst.metadata import (
    Assignment,
    BaseAssignment,
    ImportAssignment,
    MetadataWrapper,
    ParentNodeProvider,
    Scope,
    ScopeProvider,
)

from aibridge.codemod.tables import Table


class Undecided(Exception):  # noqa: N818 -- nothing went wrong: it is for the user to decide
    """A thing of the SDK that cannot be rewritten for certain, and why."""


def dotted(node: cst.CSTNode | None) -> str | None:
    """The text of a name or of names with dots between them; None for everything else."""
    match node:
        case cst.Name():
            return node.value
        case cst.Attribute():
            before = dotted(node.value)
            return before and f"{before}.{node.attr.value}"
    return None


def is_none(node: cst.CSTNode | None) -> bool:
    """Whether an expression is the word None."""
    return isinstance(node, cst.Name) and node.value == "None"


class Names:
    """The names of one file. What they mean is looked up in their scope; what is bound to two things means neither.

    A name that is also set to None somewhere means what it is bound to elsewhere: None has no attributes to rename.
    `quoted` are names that stand in strings, as in `__all__`: they keep what they are called.
    """

    def __init__(self, wrapper: MetadataWrapper, table: Table, quoted: Collection[str]) -> None:
        self.table = table
        self.needed: set[tuple[str, str]] = set()
        """Modules and the names that must be imported from them, beyond what the file imports."""
        self._quoted = quoted
        self._scopes = wrapper.resolve(ScopeProvider)
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._owners: defaultdict[str, set[str | None]] = defaultdict(set)
        for scope in {scope for scope in self._scopes.values() if scope is not None}:
            self._note_owners(scope)
        paths = [self._path(found, found.name) for found in self._imports()]
        known = [path for path in paths if path is not None and table.inside(path) is not None]
        self.any = bool(known)
        """Whether the file imports anything of the SDK."""
        self.any_old = any(table.is_old(path) for path in known)
        """Whether anything it imports of the SDK is called something else now: else it was rewritten before."""

    def scope(self, node: cst.CSTNode) -> Scope | None:
        """The scope a node is in, None where names are not looked up."""
        return self._scopes.get(node)

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        """The node around a node that is not the module."""
        return self._parents[node]

    def path(self, text: str, scope: Scope) -> str | None:
        """The path of what dotted names mean, if they are certainly the SDK's."""
        base, dot, rest = text.partition(".")
        found = [one for one in scope[base] if not self._is_nothing(one)]
        path = self._common_path(found, base)
        full = None if path is None else path + dot + rest
        return full if full and self.table.inside(full) is not None else None

    def now(self, text: str, scope: Scope) -> str:
        """What dotted names must be written as from now on.

        Raises:
            Undecided: what they mean is in a module that the file cannot import under its name.
        """
        new = self.table.renamed(self.path(text, scope) or "")
        if new is None:
            return text
        base = text.partition(".")[0]
        if self._is_plain(base, scope):
            return self._after_plain(text, scope, new)
        start = self.table.renamed(self._common_path(self._imports_of(base, scope), base) or "")
        if start and (new == start or new.startswith(start + ".")):
            return self.local(base, scope) + new[len(start) :]
        home, name, *rest = self.table.inside(new) or []
        return ".".join([self.need(home, name), *rest])

    def local(self, base: str, scope: Scope) -> str:
        """What a name of `from ... import name` is called from now on in its scope."""
        bound = scope[base]
        new = self.table.renamed(self._common_path(bound, base) or "")
        wanted = (new or "").rpartition(".")[2]
        keeps = (
            not wanted
            or base in self._quoted
            or not any(one.references for one in bound)  # it is there for other files
            or any(_alias(one.node, base).asname for one in bound if isinstance(one, ImportAssignment))
            or self._owners.get(wanted, {new}) != {new}
            or hasattr(builtins, wanted)
        )
        return base if keeps else wanted

    def keeps_plain(self, base: str, scope: Scope) -> bool:
        """Whether `import package` must go on as `import package as base`, and not under its full name.

        Raises:
            Undecided: it cannot be written either way.
        """
        bound = scope[base]
        imports = self._imports_of(base, scope)
        top = self.table.package.partition(".")[0]
        full = len(imports) == len(bound) and self._owners.get(top, {top}) == {top} and base not in self._quoted
        if base == top or (full and self._is_used(base, bound)):
            return False
        whole = all(dotted(_alias(one.node, base).name) == base for one in imports)
        if not whole or self._common_path([one for one in bound if not self._is_nothing(one)], base) is None:
            raise Undecided(f"{base} or {top} is bound to something else, too, or not used here")
        return True

    def need(self, home: str, name: str) -> str:
        """What a name of the SDK is called in this file, which imports it if it does not yet.

        Raises:
            Undecided: the file has something else of that name.
        """
        package = self.table.package
        wanted = {f"{package}.{name}", f"{package}.{home}.{name}"}
        for found in self._imports():
            at_top = isinstance(self.parent(self.parent(found.node)), cst.Module)
            if at_top and self._path_now(found, found.name) in wanted:
                return self.local(found.name, found.scope)
        if self._owners.get(name, wanted) - wanted:
            raise Undecided(f"it becomes {package}.{home}.{name}, but {name} is bound to something else in this file")
        self.needed.add((f"{package}.{home}", name))
        return name

    def _after_plain(self, text: str, scope: Scope, new: str) -> str:
        base = text.partition(".")[0]
        module, *rest = self.table.inside(text) or [""]
        if rest and not new.startswith(f"{self.table.renamed(f'{self.table.package}.{module}')}."):
            new = ".".join([self.table.package, *(self.table.inside(new) or [])[1:]])  # its new module is not imported
        try:
            return base + new[len(self.table.package) :] if self.keeps_plain(base, scope) else new
        except Undecided:  # which is said of the import
            return text

    def _note_owners(self, scope: Scope) -> None:
        for bound in scope.assignments:
            self._owners[bound.name].add(self._path_now(bound, bound.name))
        for access in scope.accesses:
            name = dotted(access.node)
            if name and not access.referents:
                self._owners[name.partition(".")[0]].add(None)

    def _imports(self) -> list[ImportAssignment]:
        scopes = {scope for scope in self._scopes.values() if scope is not None}
        found = [one for scope in scopes for one in scope.assignments if isinstance(one, ImportAssignment)]
        return sorted((one for one in found if "." not in one.name), key=lambda one: one.name)

    def _imports_of(self, base: str, scope: Scope) -> list[ImportAssignment]:
        return [one for one in scope[base] if isinstance(one, ImportAssignment)]

    def _common_path(self, bound: Collection[BaseAssignment], base: str) -> str | None:
        """Where a name is imported from; the old and the new path of a thing of the SDK are the same."""
        paths = {self._path_now(one, base) for one in bound}
        return paths.pop() if len(paths) == 1 else None

    def _path_now(self, bound: BaseAssignment, name: str) -> str | None:
        path = self._path(bound, name)
        return path and (self.table.renamed(path) or path)

    def _is_plain(self, base: str, scope: Scope) -> bool:
        imports = self._imports_of(base, scope)
        return any(isinstance(one.node, cst.Import) and not _alias(one.node, base).asname for one in imports)

    @staticmethod
    def _is_used(base: str, bound: Collection[BaseAssignment]) -> bool:
        """Whether a name stands anywhere, also at the beginning of `base.module`: LibCST knows that as another name."""
        names = (one for scope in {one.scope for one in bound} for one in scope.assignments)
        return any(one.references for one in names if one.name.partition(".")[0] == base)

    def _is_nothing(self, bound: BaseAssignment) -> bool:
        target = self._parents.get(bound.node) if isinstance(bound, Assignment) else None
        statement = self._parents.get(target) if isinstance(target, cst.AssignTarget) else target
        return isinstance(statement, (cst.Assign, cst.AnnAssign)) and is_none(statement.value)

    @staticmethod
    def _path(bound: BaseAssignment, name: str) -> str | None:
        if not isinstance(bound, ImportAssignment) or "." in bound.name:
            return None
        alias = _alias(bound.node, name)
        match bound.node:
            case cst.Import():
                return dotted(alias.name) if alias.asname else name
            case cst.ImportFrom(module=cst.BaseExpression() as module, relative=[]):
                return f"{dotted(module)}.{dotted(alias.name)}"
        return None


def _alias(node: cst.CSTNode, name: str) -> cst.ImportAlias:
    """The part of an import that binds a name."""
    names = node.names if isinstance(node, (cst.Import, cst.ImportFrom)) else ()
    for alias in names if not isinstance(names, cst.ImportStar) else ():
        bound = dotted(alias.asname.name) if alias.asname else (dotted(alias.name) or "").partition(".")[0]
        if bound == name:
            return alias
    raise LookupError(name)
