"""Files of the person at the keyboard: replaced at once or not at all, with what was there kept beside them."""

import os
import stat
import tempfile
from pathlib import Path

_PRIVATE = 0o600


def replace(path: Path, text: str, *, private: bool, backup: bool) -> Path | None:
    """Make `text` the content of a file, and its directory if there is none.

    A symbolic link stays one: what it points to is replaced. A file keeps its mode, unless it is `private`: then only
    its owner may read it, as with every new file and every backup.

    Args:
        path: the file.
        text: all of its content.
        private: whether there is a secret in it.
        backup: whether to keep what was there as `NAME.backup-1`, or the next free number.

    Returns:
        The backup, None where there was nothing to keep.

    Raises:
        OSError: it cannot be written; then nothing has changed, but for a backup.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
        before: bytes | None = target.read_bytes()
    except FileNotFoundError:
        mode, before = _PRIVATE, None
    kept = _kept(target, before) if backup and before is not None else None
    # mkstemp makes files that only their owner may read: the secret is never seen by others, not even for a moment.
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fchmod(file.fileno(), _PRIVATE if private else mode)
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return kept


def _kept(target: Path, content: bytes) -> Path:
    number = 1
    while True:
        backup = target.with_name(f"{target.name}.backup-{number}")
        try:
            descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return backup
