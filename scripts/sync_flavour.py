"""Make the synchronous half of the SDK of the asynchronous one, so that there is one source for both.

Tokens are replaced, nothing is understood: what the two halves do differently stands outside of both, and what it is
called differently stands in `_NAMES`. What comes out is put in order by ruff, as everything else is.
"""

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

SOURCE = "src/aibridge/sdk/_async"
MADE = "src/aibridge/sdk/_sync"

_ROOT = Path(__file__).parent.parent

_NAMES = {
    "Awaitable": None,
    "_async": "_sync",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "AbstractAsyncContextManager": "AbstractContextManager",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
    "asyncio": "time",
}
"""Names, and what they are called in the other half; None for a generic type that is its argument there."""

_PROSE = (
    (re.compile(r"\bAsync(?=[A-Z])"), ""),
    (re.compile(r"\bawait |\basynchronous "), ""),
    (re.compile(r"\basyncio\b"), "threads"),
)
"""What is said differently in docstrings."""


def modules(root: Path = _ROOT) -> dict[str, str]:
    """Every module that is made, by the path of what it is made of, both from the project's directory."""
    return {f"{MADE}/{path.name}": f"{SOURCE}/{path.name}" for path in sorted((root / SOURCE).glob("*.py"))}


def made(source: str, root: Path = _ROOT) -> str:
    """The text of the module that is made of the one at a path."""
    text = (root / source).read_text(encoding="utf-8")
    note = f"# Written by `make gen` from `{source}`.\n"
    return _in_order(note + synchronous(text), source.replace(SOURCE, MADE))


def synchronous(text: str) -> str:
    """Asynchronous Python without what makes it asynchronous."""
    lines = text.splitlines(keepends=True)
    edits: list[tuple[tokenize.TokenInfo, str]] = []
    closing: list[bool] = []
    dropping = False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.string == "[" and token.type == tokenize.OP:
            closing.append(dropping)
            if dropping:
                edits.append((token, ""))
        elif token.string == "]" and token.type == tokenize.OP and closing.pop():
            edits.append((token, ""))
        dropping = False
        if token.type == tokenize.NAME:
            new = _name(token.string)
            if new is None:
                # In an import the name stays, and ruff takes it out as unused.
                following = lines[token.end[0] - 1][token.end[1] :]
                dropping = following.startswith("[")
                if dropping:
                    edits.append((token, ""))
            elif new != token.string:
                edits.append((token, new))
        elif token.type == tokenize.STRING:
            edits.append((token, _prose(token.string)))
    return _edited(lines, edits)


def _name(name: str) -> str | None:
    if name in {"async", "await"}:
        return ""
    if name in _NAMES:
        return _NAMES[name]
    return re.sub(r"^(_?)Async(?=[A-Z])", r"\1", name)


def _prose(text: str) -> str:
    for pattern, new in _PROSE:
        text = pattern.sub(new, text)
    return text


def _edited(lines: list[str], edits: list[tuple[tokenize.TokenInfo, str]]) -> str:
    """The lines with tokens replaced, from the end on, so that places before stay what they are."""
    for token, new in reversed(edits):
        (first, start), (last, end) = token.start, token.end
        before, after = lines[first - 1][:start], lines[last - 1][end:]
        # A word that goes takes the blank behind it along.
        after = after.removeprefix(" ") if token.string in {"async", "await"} else after
        lines[first - 1 : last] = [before + new + after]
    return "".join(lines)


def _in_order(text: str, name: str) -> str:
    """The text with its imports sorted and its lines broken as ruff has them."""
    for arguments in (["check", "--fix", "--quiet", "--select", "I,F401"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", name, "-"]
        text = subprocess.run(ruff, cwd=_ROOT, input=text, capture_output=True, text=True, check=True).stdout
    return text
