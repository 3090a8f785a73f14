"""`aibridge codemod` on files: a diff, nothing lost when they are written, and a clear line for what is skipped."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aibridge.cli import cli

OLD, NEW = (
    b"from codersdk import Client\r\n\r\nClient('u').get_users()",
    b"from aibridge.sdk import Client\r\n\r\nClient('u').users()",
)
WITHOUT_LIBCST = "import sys; sys.modules['libcst'] = None; from aibridge.cli import main; main()"


def run(*arguments: str | Path) -> Result:
    pytest.importorskip("libcst")
    return CliRunner().invoke(cli, ["codemod", "v2", *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.py"
    path.write_bytes(OLD)
    return path


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_without_write_there_is_a_diff_and_no_change(file: Path, flags: list[str]) -> None:
    result = run(file, *flags)

    assert result.exit_code == 0
    assert result.stdout_bytes.decode().split("\n") == [
        f"--- {file}",
        f"+++ {file}",
        "@@ -1,3 +1,3 @@",
        "-from codersdk import Client\r",
        "+from aibridge.sdk import Client\r",
        " \r",
        "-Client('u').get_users()",
        "\\ No newline at end of file",
        "+Client('u').users()",
        "\\ No newline at end of file",
        "",
    ]
    assert result.stderr == "1 files would change, 0 places to look at, 0 files skipped\n"
    assert file.read_bytes() == OLD


@pytest.mark.skipif(shutil.which("patch") is None, reason="needs patch")
def test_the_diff_is_one_that_patch_takes(file: Path) -> None:
    diff = run(file).stdout_bytes
    subprocess.run(["patch", "--binary", "-s", file], input=diff, check=True, timeout=10)
    assert file.read_bytes() == NEW


def test_written_files_keep_line_endings_and_permissions(file: Path) -> None:
    file.chmod(0o751)

    result = run("--write", file)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "1 files changed, 0 places to look at, 0 files skipped\n"
    assert file.read_bytes() == NEW
    assert file.stat().st_mode & 0o7777 == 0o751
    assert list(file.parent.iterdir()) == [file]
    assert run("--write", file).stderr.startswith("0 files changed")


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.py"
    link.symlink_to(file)
    assert run("--write", link, tmp_path).stderr.startswith("1 files changed")
    assert link.is_symlink()
    assert file.read_bytes() == NEW


def test_directories_are_walked_but_for_what_is_not_ours(tmp_path: Path) -> None:
    wanted = ["a.py", "b/c.pyi", "b/d.py"]
    unwanted = [".git/e.py", "__pycache__/f.py", "venv/g.py", "node_modules/h.py", "site-packages/i.py", "notes.txt"]
    for name in [*wanted, *unwanted]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(OLD)
    (tmp_path / "venv" / "pyvenv.cfg").touch()

    run("--write", tmp_path, tmp_path / "a.py")

    assert {name: (tmp_path / name).read_bytes() == NEW for name in [*wanted, *unwanted]} == (
        dict.fromkeys(wanted, True) | dict.fromkeys(unwanted, False)
    )


def test_a_file_that_is_named_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_bytes(OLD)
    run("--write", path)
    assert path.read_bytes() == NEW


def test_what_is_no_python_is_skipped_with_a_line_and_the_rest_is_done(file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_bytes(b"import codersdk\nprint 'two'\n")

    result = run("--write", tmp_path)

    assert result.exit_code == 0
    first, last = result.stderr.splitlines()
    assert first.startswith(f"skipped: {bad}: line 2: ")
    assert last == "1 files changed, 0 places to look at, 1 files skipped"
    assert file.read_bytes() == NEW


def test_what_is_left_is_listed_by_file_and_line(file: Path) -> None:
    file.write_bytes(OLD + b"\r\nclient.get_users()\r\n")
    assert (
        run(file).stderr.splitlines()[0]
        == f"look at this: {file}:4: if client is a client of the SDK, this is users now"
    )


def test_a_file_that_cannot_be_written_stays_and_the_command_fails(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    result = run("--write", file)

    assert result.exit_code == 1
    assert f"aibridge: {file}: No space left on device\n" in result.stderr
    assert file.read_bytes() == OLD
    assert list(file.parent.iterdir()) == [file]


def test_without_libcst_the_command_says_what_to_install(file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBCST, "codemod", "v2", file],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "aibridge: this needs LibCST: pip install 'aibridge[codemod]'\n"


def test_versions_and_paths_must_exist(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["codemod", "v9", str(tmp_path)]).exit_code == 2
    assert CliRunner().invoke(cli, ["codemod", "v2", str(tmp_path / "none")]).exit_code == 2
    assert CliRunner().invoke(cli, ["codemod", "v2"]).exit_code == 2
