"""The types for TypeScript: every schema once, every type that is used is there, and nothing but declarations."""

import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from aibridge import __version__
from aibridge.contract.openapi import document

ROOT = Path(__file__).parents[2]
SCHEMAS = document(__version__)["components"]["schemas"]
_TYPE = r'(?:[\w<>,\[\]() |]|"[^"\\]*")+'
_LINES = re.compile(
    rf"""
    //\ .*                                      # the first line
    | /\*\*\ (?:(?!\*/).)*\ \*/                 # a comment of one line
    | export\ interface\ \w+\ {{ | }}
    | \ \ \w+\??:\ {_TYPE};
    | export\ type\ \w+\ =\ {_TYPE};
    |
    """,
    re.VERBOSE,
)
_BUILT_IN = {"string", "number", "boolean", "null", "unknown", "Record"}


@pytest.fixture(scope="module")
def text() -> str:
    return str(loaded().typescript())


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_files", ROOT / "scripts" / "api_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_line_is_one_of_a_declaration(text: str) -> None:
    assert [line for line in text.splitlines() if not _LINES.fullmatch(line)] == []
    assert text.count("{") == text.count("}")


def test_every_schema_is_declared_once(text: str) -> None:
    assert Counter(re.findall(r"^export \w+ (\w+)", text, re.MULTILINE)) == Counter(SCHEMAS.keys())


def test_every_type_that_is_used_is_declared(text: str) -> None:
    types = re.findall(r"(?:=|:) (.+);$", text, re.MULTILINE)
    used = {name for line in types for name in re.findall(r"\w+", re.sub(r'"[^"]*"', "", line))}

    assert used <= _BUILT_IN | SCHEMAS.keys()


def test_what_may_be_left_out_is_marked(text: str) -> None:
    for name, schema in SCHEMAS.items():
        if "properties" in schema:
            (body,) = re.findall(rf"^export interface {name} {{\n(.*?)^}}$", text, re.MULTILINE | re.DOTALL)
            marks = dict(re.findall(r"^  (\w+)(\??):", body, re.MULTILINE))
            assert marks == {field: "" if field in schema["required"] else "?" for field in schema["properties"]}
