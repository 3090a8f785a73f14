"""A page of the documentation as its reader follows it: what it shows is typed, and must lead to what it shows.

In a ```console block, lines after `$ ` are commands, also where they go on after a backslash; what stands below one is
what it prints. A command that reads standard input (`-` or `--password-stdin` at its end) is typed the line below it
first. Where nothing is shown, nothing is compared. All commands must succeed, but for those whose shown output is that
of an error. A ```python block that begins with `# NAME.py` is a file of that name.

What differs from one time to the next is written so:

* `…` is any text within a line, and alone on a line any lines;
* `aib_…` is a token: any one where it is printed, and in a command the one that was printed last;
* instants such as `2026-11-29 17:31:55Z` and ids such as `ad40235a-cc6e-4ff7-8925-99e3b4027f4f` are any of their kind;
* how many blanks there are between columns follows from these, and is not compared.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from clients.running import PATIENCE

DOCS = Path(__file__).parents[2] / "docs"

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n?((?:(?!\$ ).*\n?)*)", re.MULTILINE)
_READS = re.compile(r"(?: -|--password-stdin)$")
_LOOKS = re.compile(r"(?:\S+=\S+ )*aibridge \S+ (?:list|show)\b|curl (?!.*/api/)")
"""Commands that may be given again: what they show comes a moment after what caused it."""

_TOKEN = "aib_…"
_ANY_TOKEN = r"aib_[0-9A-Za-z]{10}_[\w-]+"
_INSTANT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KINDS = {_TOKEN: _ANY_TOKEN, "…": ".*", _INSTANT: _INSTANT, _ID: _ID, " {2,}": " {2,}"}
"""How what differs is written, and what it stands for."""

_PARTS = re.compile("|".join(f"({written})" for written in _KINDS))


class Block(NamedTuple):
    """What stands between two fences."""

    language: str
    text: str


class Step(NamedTuple):
    """A command, and what the page shows below it."""

    command: str
    shown: str


def blocks(page: str) -> list[Block]:
    """The blocks of a page that have a language, in their order."""
    return [Block(*match.groups()) for match in _FENCED.finditer((DOCS / page).read_text())]


def steps(block: Block) -> list[Step]:
    """The commands of a ```console block."""
    return [Step(*match.groups()) for match in _COMMAND.finditer(block.text)]


def shows(shown: str, printed: str) -> bool:
    """Whether what is printed is what a page shows."""
    return pattern(shown).fullmatch(printed.strip("\n") + "\n") is not None


def pattern(shown: str) -> re.Pattern[str]:
    """What a page shows, as what it stands for."""
    lines = shown.strip("\n").split("\n")
    return re.compile("".join("(?:.*\n)*" if line == "…" else f"{_line(line)}\n" for line in lines))


def _line(line: str) -> str:
    """Parts that differ are what they stand for, all between them is itself."""
    parts, end = [], 0
    for match in _PARTS.finditer(line):
        parts += [re.escape(line[end : match.start()]), list(_KINDS.values())[(match.lastindex or 1) - 1]]
        end = match.end()
    return "".join([*parts, re.escape(line[end:])])


class Terminal:
    """A shell in a directory of its own, and the token that was printed last."""

    def __init__(self, shell: subprocess.Popen[str], token: str) -> None:
        self._shell = shell
        self._token = token

    def follow(self, step: Step) -> None:
        """Type a command, and compare.

        Raises:
            AssertionError: it prints something else than is shown, or fails where no error is shown.
        """
        command, shown = step.command.replace(_TOKEN, self._token), step.shown
        if _READS.search(command):
            typed, _, shown = shown.partition("\n")
            command = f"{command} <<'TYPED'\n{typed.replace(_TOKEN, self._token)}\nTYPED"
        deadline = time.monotonic() + (PATIENCE if _LOOKS.match(command) else 0.0)
        while True:
            code, printed = self._typed(command)
            is_right = (code == 0) is not shown.startswith("aibridge: ") and (not shown or shows(shown, printed))
            if is_right or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        assert is_right, f"$ {step.command}\nprinted, with exit code {code}:\n{printed}\nand should have:\n{shown}"
        self._token = next(iter(re.findall(_ANY_TOKEN, printed)), self._token)

    def _typed(self, command: str) -> tuple[int, str]:
        """The exit code of a command, and what it prints on both outputs."""
        end = "=== exit code "
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{command}\nprintf '\\n{end}%s\\n' $?\n")
        self._shell.stdin.flush()
        printed: list[str] = []
        for line in self._shell.stdout:
            if line.startswith(end):
                return int(line.removeprefix(end)), "".join(printed)
            printed.append(line)
        raise AssertionError(f"the shell ended at: {command}")


@contextmanager
def terminal(home: Path, token: str, environ: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    """A shell that knows `aibridge` and `python`. What it began ends with it."""
    home.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with subprocess.Popen(
        ["bash", "--norc"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home,
        env={"PATH": path, "HOME": str(home), **(environ or {})},
        start_new_session=True,
    ) as shell:
        try:
            yield Terminal(shell, token)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
