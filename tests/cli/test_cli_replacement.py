"""Files replaced at once, with what was there kept."""

import stat
from pathlib import Path

import pytest

from aibridge.cli.replacement import replace


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_and_its_directory_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "inner" / "file"

    assert replace(path, "text", private=False, backup=True) is None

    assert path.read_text() == "text"
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_what_was_there_is_kept_each_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    path.chmod(0o644)

    backups = [replace(path, text, private=False, backup=True) for text in ("two", "three")]

    assert backups == [tmp_path / "file.backup-1", tmp_path / "file.backup-2"]
    assert [backup.read_text() for backup in backups if backup] == ["one", "two"]
    assert [mode(backup) for backup in backups if backup] == [0o600, 0o600]
    assert (path.read_text(), mode(path)) == ("three", 0o644)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_secret_is_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    path.chmod(0o644)

    replace(path, "secret", private=True, backup=False)

    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "dotfiles", tmp_path / "file"
    target.write_text("one")
    link.symlink_to(target)

    replace(link, "two", private=False, backup=False)

    assert link.is_symlink()
    assert target.read_text() == "two"


def test_what_cannot_be_replaced_stays_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("one")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        replace(path, "two", private=False, backup=False)

    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]
