"""Settings put into documents of other programs."""

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.cli.documents import Settings, Unchangeable, with_json, with_toml

SECTION: Settings = {
    "model_provider": "ours",
    "model_providers": {"ours": {"base_url": "http://x/v1", "websockets": False}},
}


def test_json_keeps_what_else_is_there_its_order_and_its_indentation() -> None:
    before = '{\n    "z": [1, 2.0, "ä"],\n    "env": {"A": "1", "B": "2"}\n}\n'

    after = with_json(before, {"env": {"B": "3", "C": None}, "helper": "h"})

    assert after == (
        '{\n    "z": [\n        1,\n        2.0,\n        "ä"\n    ],\n'
        '    "env": {\n        "A": "1",\n        "B": "3"\n    },\n    "helper": "h"\n}\n'
    )


def test_json_that_is_so_already_stays_byte_for_byte() -> None:
    before = '{"env":{"A":"1"},\r\n  "b": 1e2}'

    assert with_json(before, {"env": {"A": "1", "gone": None}}) == before


def test_json_takes_a_setting_out() -> None:
    assert json.loads(with_json('{"a": 1, "b": 2}', {"a": None})) == {"b": 2}


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ('{"a": 1 /* note */}', "it is no plain JSON"),
        ("[]", "it is no JSON object"),
        ('{"env": "text"}', "env is 'text' in it, where settings with names belong"),
    ],
)
def test_json_that_is_not_understood_is_refused(before: str, reason: str) -> None:
    with pytest.raises(Unchangeable, match=reason):
        with_json(before, {"env": {"A": "1"}})


def test_toml_keeps_comments_and_everything_else() -> None:
    before = (
        "# mine\n"
        'model = "m"  # the good one\n'
        "list = [\n"
        "  1,\n"
        "]\n"
        "\n"
        "[model_providers.ours] # old\n"
        "# why\n"
        'base_url = "http://old" # here\n'
        "keep = 1\n"
        "\n"
        '[projects."/home"]\n'
        'trust = "yes"\n'
    )

    after = with_toml(before, SECTION)

    assert after == (
        "# mine\n"
        'model = "m"  # the good one\n'
        "list = [\n"
        "  1,\n"
        "]\n"
        'model_provider = "ours"\n'
        "\n"
        "[model_providers.ours] # old\n"
        "# why\n"
        'base_url = "http://x/v1" # here\n'
        "keep = 1\n"
        "websockets = false\n"
        "\n"
        '[projects."/home"]\n'
        'trust = "yes"\n'
    )


@pytest.mark.parametrize(
    "before",
    [
        "",
        "[a]\nx = 1",
        'model_provider = """\nmany\nlines\n"""\n[a]\n',
        'text = """\n[model_providers.ours]\nmodel_provider = "no"\n"""\n',
        '"model_provider" = \'other\'\n[ model_providers . "ours" ]\nbase_url = [\n  "odd",\n]\n',
        'model_provider = "other"\r\n[model_providers.ours]\r\nbase_url = "b"\r\n',
        "[[list]]\na = 1\n[[list]]\na = 2\n",
        "[model_providers.ours.headers]\nx = 1\n",
        'model_provider = "" # none',
    ],
)
def test_toml_means_what_it_should_afterwards(before: str) -> None:
    after = with_toml(before, SECTION)
    meaning = tomllib.loads(after)
    old = tomllib.loads(before)

    assert meaning["model_provider"] == "ours"
    assert meaning["model_providers"]["ours"].items() >= {"base_url": "http://x/v1", "websockets": False}.items()
    assert {
        name: value for name, value in old.items() if not name.startswith("model_provider")
    }.items() <= meaning.items()
    assert with_toml(after, SECTION) == after


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("a = ", "it is no TOML"),
        ("model_providers = {ours = {a = 1}}\n", "cannot be changed safely"),
        ("model_providers.ours.base_url = 'old'\n", "cannot be changed safely"),
        ("model_providers = 1\n", "model_providers is 1 in it"),
    ],
)
def test_toml_that_is_not_understood_is_refused(before: str, reason: str) -> None:
    with pytest.raises(Unchangeable, match=reason):
        with_toml(before, SECTION)


WORD = st.text("ab-_ .#\"'\\\n\N{SNOWMAN}", min_size=1, max_size=5)


@given(name=WORD, table=WORD, value=WORD)
def test_any_name_and_any_value_find_their_place(name: str, table: str, value: str) -> None:
    after = with_toml("# note\nx = 1\n[t]\ny = 2\n", {name: value, table + "2": {name: value}})

    assert tomllib.loads(after) == {"x": 1, "t": {"y": 2}, name: value, table + "2": {name: value}}
