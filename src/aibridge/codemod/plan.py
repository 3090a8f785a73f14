"""What is to be done to a file, collected before anything is done, and what is left for a person."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from aibridge.codemod.clients import Clients
from aibridge.codemod.names import Names
from aibridge.codemod.tables import Table

Edit = Callable[[Any], cst.CSTNode | cst.FlattenSentinel[Any]]
"""Makes the new node of the old one, in which everything below was already edited."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place that may need a change and was left as it is."""

    line: int
    reason: str


class Plan:
    """Edits of nodes, and findings."""

    def __init__(self, wrapper: MetadataWrapper, names: Names) -> None:
        self.names = names
        self.clients = Clients(names)
        self.table: Table = names.table
        self.findings: set[Finding] = set()
        self._module = wrapper.module
        self._positions = wrapper.resolve(PositionProvider)
        self._edits: dict[cst.CSTNode, Edit] = {}

    def edit(self, node: cst.CSTNode, how: Edit) -> None:
        """Edit a node; after what was planned for it before."""
        before = self._edits.get(node)
        self._edits[node] = how if before is None else lambda updated: how(before(updated))

    def look(self, node: cst.CSTNode, reason: str) -> None:
        """Leave a node to a person."""
        self.findings.add(Finding(self._positions[node].start.line, reason))

    def carried_out(self) -> cst.Module:
        """The file with all edits made."""
        return edited(self._module, self._edits) if self._edits else self._module


def edited(root: cst.Module, edits: dict[cst.CSTNode, Edit]) -> cst.Module:
    """A tree with edits made from the leaves to the root."""
    changed = root.visit(_Editor(edits))
    if not isinstance(changed, cst.Module):
        raise TypeError(type(changed).__name__)
    return changed


class _Editor(cst.CSTTransformer):
    def __init__(self, edits: dict[cst.CSTNode, Edit]) -> None:
        super().__init__()
        self._edits = edits

    def on_leave(self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT) -> Any:  # noqa: ANN401 -- libcst's
        edit = self._edits.get(original_node)
        return updated_node if edit is None else edit(updated_node)
