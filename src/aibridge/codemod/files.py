"""Files on disk: which ones there are, what changes in them as a diff, and writing them so that nothing is lost."""

import difflib
import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aibridge.codemod.rewrite import Rewritten, rewrite
from aibridge.codemod.tables import Table

_NO_NEWLINE: Final = b"\n\\ No newline at end of file\n"
_SUFFIXES: Final = frozenset({".py", ".pyi"})
_NOT_OURS: Final = frozenset({"__pycache__", "node_modules", "site-packages"})


@dataclass(frozen=True, slots=True)
class File:
    """A file before and after, in its own encoding and with its own line endings."""

    path: Path
    before: bytes
    rewritten: Rewritten

    @property
    def is_changed(self) -> bool:
        """Whether anything is rewritten in it."""
        return self.rewritten.source != self.before

    def diff(self) -> bytes:
        """What changes, as `patch` reads it, in the file's own encoding; empty when nothing does."""
        before, after = (io.BytesIO(source).readlines() for source in (self.before, self.rewritten.source))
        name = os.fsencode(self.path)
        lines = difflib.diff_bytes(difflib.unified_diff, before, after, name, name)
        return b"".join(line if line.endswith(b"\n") else line + _NO_NEWLINE for line in lines)

    def write(self) -> None:
        """Replace the file, at once and with the permissions it has; a link goes on pointing where it does.

        Raises:
            OSError: it cannot be written, and is as it was.
        """
        path = self.path.resolve()
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self.rewritten.source)
                file.flush()
                os.fchmod(file.fileno(), path.stat().st_mode)
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise


def python_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as they are named, and all Python files below directories, in order and each once.

    Hidden directories, virtual environments and other people's packages are left out; links to directories are not
    followed.
    """
    seen: set[Path] = set()
    for path in paths:
        for found in _below(path) if path.is_dir() else [path]:
            if (real := found.resolve()) not in seen:
                seen.add(real)
                yield found


def read(path: Path, table: Table) -> File:
    """A file, rewritten in memory. One in which no package of the SDK is mentioned is not parsed.

    Raises:
        OSError: it cannot be read.
        Unreadable: it cannot be parsed.
    """
    before = path.read_bytes()
    if not any(package.encode() in before for package in table.mentions):
        return File(path, before, Rewritten(before, ()))
    return File(path, before, rewrite(before, table))


def _below(directory: Path) -> Iterator[Path]:
    for root, directories, names in os.walk(directory):
        here = Path(root)
        directories[:] = sorted(
            name
            for name in directories
            if name not in _NOT_OURS and not name.startswith(".") and not (here / name / "pyvenv.cfg").exists()
        )
        yield from (here / name for name in sorted(names) if Path(name).suffix in _SUFFIXES)
