"""Tokens: their form, what is kept of them, and who is recognised."""

import re
import secrets
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.domain.actor import Actor
from aibridge.domain.token import KnownToken, digest, is_well_formed, matches, mint, token_id_of

FORM = re.compile(r"aib_[0-9A-Za-z]{10}_[0-9A-Za-z]{49}")
BASE62 = string.digits + string.ascii_letters
ACTOR = Actor(id="a", username="mia", token_id="t")


def test_a_token_has_its_form_and_at_least_256_bits() -> None:
    minted = mint(secrets.randbelow)
    assert FORM.fullmatch(minted.text)
    assert 62**43 >= 2**256
    assert minted.text[4:14] == minted.id == token_id_of(minted.text)
    assert minted.last_four == minted.text[-4:]
    assert minted.digest == digest(minted.text)
    assert is_well_formed(minted.text)
    assert minted.text not in repr(minted)


@pytest.mark.parametrize("share", [0, 1], ids=["zero", "largest"])
def test_the_extremes_of_chance_have_the_same_form(share: int) -> None:
    minted = mint(lambda bound: share * (bound - 1))
    assert FORM.fullmatch(minted.text)
    assert is_well_formed(minted.text)


def test_tokens_differ() -> None:
    assert len({mint(secrets.randbelow).text for _ in range(1000)}) == 1000


@given(st.integers(0, 62), st.sampled_from(BASE62))
def test_one_wrong_character_is_found_without_asking_anybody(at: int, other: str) -> None:
    text = mint(secrets.randbelow).text
    changed = text[:at] + other + text[at + 1 :]
    assert is_well_formed(changed) is (changed == text)


@given(st.text(max_size=80))
def test_anything_may_be_presented(text: str) -> None:
    assert token_id_of(text) is None or text.startswith("aib_")
    assert not is_well_formed(text)
    known = KnownToken(digest=mint(secrets.randbelow).digest, actor=ACTOR)
    encodable = text.encode("latin-1", "replace").decode("latin-1")
    assert not matches(encodable, known)
    assert not matches(encodable, None)


@pytest.mark.parametrize(
    "text", ["", "aib_", "aib_short_x", "sk-" + "x" * 61, "aib_" + "a" * 60, "AIB_" + "a" * 10 + "_" + "b" * 49]
)
def test_what_has_not_the_form_has_no_id(text: str) -> None:
    assert token_id_of(text) is None


def test_a_token_that_scanners_would_not_know_has_an_id_but_is_not_well_formed() -> None:
    text = "aib_" + "ä" * 10 + "_" + "b" * 49
    assert token_id_of(text) == "ä" * 10
    assert not is_well_formed(text)


def test_only_the_whole_text_matches() -> None:
    minted = mint(secrets.randbelow)
    known = KnownToken(digest=minted.digest, actor=ACTOR)
    assert matches(minted.text, known)
    for wrong in (minted.text[:-1], minted.text + "x", minted.text.swapcase(), mint(secrets.randbelow).text):
        assert not matches(wrong, known)
    assert not matches(minted.text, None)


def test_every_presented_text_costs_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return a == b

    monkeypatch.setattr("aibridge.domain.token.hmac.compare_digest", compare)
    minted = mint(secrets.randbelow)
    known = KnownToken(digest=minted.digest, actor=ACTOR)
    assert [matches(minted.text, known), matches("x", known), matches("x", None)] == [True, False, False]
    assert compared == [(32, 32)] * 3
