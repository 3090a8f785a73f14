"""Small files before and after: what is rewritten, what is left, and that a second run changes nothing.

A line that must be pointed to has `# look` at its end, before and after.
"""

from pathlib import Path

import pytest

cst = pytest.importorskip("libcst")

from hypothesis import given, settings  # noqa: E402 -- after the check for what may be missing
from hypothesis import strategies as st  # noqa: E402

from aibridge.codemod.rewrite import Rewritten, Unreadable, rewrite  # noqa: E402
from aibridge.codemod.tables import TABLES  # noqa: E402

V2 = TABLES["v2"]
CORPUS = Path(__file__).parent / "corpus"
BEFORE = {path.name.partition(".")[0]: path.read_bytes() for path in sorted(CORPUS.glob("*.before.py.txt"))}
AFTER = {name: (CORPUS / f"{name}.after.py.txt").read_bytes() for name in BEFORE}


def statements() -> list[str]:
    """All statements of the corpus, to put other files together from; what must stand at the top is left out."""
    modules = [cst.parse_module(source) for source in BEFORE.values()]
    codes = [module.code_for_node(statement) for module in modules for statement in module.body]
    return [code for code in codes if not code.startswith('"""') and "__future__" not in code]


def second(first: Rewritten) -> Rewritten:
    return rewrite(first.source, V2)


@pytest.mark.parametrize("name", BEFORE)
def test_a_file_becomes_what_it_must(name: str) -> None:
    assert rewrite(BEFORE[name], V2).source.decode() == AFTER[name].decode()


@pytest.mark.parametrize("name", BEFORE)
def test_what_is_left_is_pointed_to(name: str) -> None:
    marked = [number for number, line in enumerate(BEFORE[name].decode().splitlines(), 1) if "# look" in line]
    assert sorted({finding.line for finding in rewrite(BEFORE[name], V2).findings}) == marked


@pytest.mark.parametrize("name", AFTER)
def test_a_second_run_changes_nothing(name: str) -> None:
    assert rewrite(AFTER[name], V2).source == AFTER[name]


def test_the_corpus_is_python() -> None:
    for source in [*BEFORE.values(), *AFTER.values()]:
        compile(source, "corpus", "exec")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(statements()), max_size=8).map("".join))
def test_whatever_is_put_together_stays_python_and_is_done_in_one_run(source: str) -> None:
    first = rewrite(source.encode(), V2)
    compile(first.source, "rewritten", "exec")
    assert second(first).source == first.source


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(statements()), max_size=8).map("".join))
def test_line_endings_make_no_difference(source: str) -> None:
    windows = rewrite(source.replace("\n", "\r\n").encode(), V2)
    assert windows.source == rewrite(source.encode(), V2).source.replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (b"import codersdk\nprint 'two'\n", "line 2: "),
        (b"# -*- coding: klingon -*-\nimport codersdk\n", "its encoding: "),
        (b"import codersdk # \xff\n", "its encoding: "),
        (b"\x0cimport codersdk\n", "characters that would be lost"),
    ],
)
def test_what_cannot_be_read_says_why(source: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        rewrite(source, V2)


def test_what_is_nested_too_deeply_is_not_read() -> None:
    with pytest.raises(Unreadable):
        rewrite(b"import codersdk\nx = " + b"-" * 3000 + b"1\n", V2)


def test_a_mark_of_byte_order_and_another_encoding_stay() -> None:
    assert rewrite(b"\xef\xbb\xbfimport codersdk\nprint(codersdk)\n", V2).source == (
        b"\xef\xbb\xbfimport aibridge.sdk\nprint(aibridge.sdk)\n"
    )
    latin = "# -*- coding: latin-1 -*-\nfrom codersdk import Client  # é\n".encode("latin-1")
    assert rewrite(latin, V2).source == latin.replace(b"codersdk", b"aibridge.sdk")
