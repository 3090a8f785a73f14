"""Who may ask: the same tokens as for AI calls, wherever a client can put them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from control_driver import NOW, Control
from people import person, token_of

from aibridge.domain.token import MintedToken
from aibridge.store import tokens, users
from aibridge.store.database import Database

PATH = "/api/v2/aibridge/interceptions"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(f"sqlite:///{tmp_path}/aibridge.db")) as database:
        yield database


@pytest.fixture
def token(database: Database) -> MintedToken:
    user = person(database, "ann", now=NOW * 1_000_000)
    expires_at = (NOW + 10) * 1_000_000
    return token_of(database, user, now=NOW * 1_000_000, expires_at=expires_at)


def test_a_token_is_taken_from_wherever_clients_put_it(database: Database, token: MintedToken) -> None:
    control = Control(database)
    assert control.call(PATH, token.text).status == 200
    assert control.call(PATH, x_api_key=token.text).status == 200
    assert control.call(PATH, coder_session_token=token.text).status == 200
    assert control.call(PATH, cookie=f"theme=dark; coder_session_token={token.text}").status == 200
    assert control.call(f"{PATH}?coder_session_token={token.text}").status == 200


FOREIGN = "sk-ant-somebody-elses"


@pytest.mark.parametrize(
    "others",
    [
        {"authorization": f"Bearer {FOREIGN}"},
        {"cookie": f"coder_session_token={FOREIGN}"},
        {"coder_session_token": FOREIGN},
        {"cookie": f"coder_session_token={FOREIGN}", "authorization": f"Bearer {FOREIGN}"},
    ],
)
def test_the_token_that_is_ours_counts_whatever_stands_beside_it(
    database: Database, token: MintedToken, others: dict[str, str]
) -> None:
    control = Control(database)
    assert control.call(PATH, x_api_key=token.text, **others).status == 200
    assert control.call(f"{PATH}?coder_session_token={token.text}", **others).status == 200
    assert control.call(f"{PATH}?coder_session_token={FOREIGN}", x_api_key=token.text, **others).status == 200


def test_of_two_tokens_of_ours_the_place_that_comes_first_counts(database: Database, token: MintedToken) -> None:
    with database.reading() as connection:
        ann = users.one(connection, "ann")
    other = token_of(database, ann, now=NOW)
    used: list[str] = []
    control = Control(database, used=used.append)
    control.call(PATH, token.text, x_api_key=other.text)  # the key is the first header of the two
    control.call(PATH, other.text, cookie=f"coder_session_token={token.text}")
    assert used == [token.id, token.id]


def test_the_use_of_a_token_is_noted_and_a_failed_attempt_is_not(database: Database, token: MintedToken) -> None:
    used: list[str] = []
    control = Control(database, used=used.append)
    control.call(PATH, token.text)
    control.call(PATH, FOREIGN)
    control.call(PATH)
    assert used == [token.id]


def test_many_tokens_in_one_request_are_one_attempt(database: Database) -> None:
    attempts: list[str] = []

    def stranger(address: str, _: object) -> None:
        attempts.append(address)

    answer = Control(database, stranger=stranger).call(PATH, FOREIGN, x_api_key="aib_", coder_session_token="x")
    assert (answer.status, attempts) == (401, ["127.0.0.1"])


def test_without_a_token_the_answer_says_where_to_put_one(database: Database) -> None:
    answer = Control(database).call(PATH)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json["message"] == "No token was presented."
    for place in ("Authorization: Bearer", "X-Api-Key", "Coder-Session-Token", "coder_session_token"):
        assert place in answer.json["detail"]


def test_what_is_nearly_a_token_is_none(database: Database, token: MintedToken) -> None:
    control = Control(database)
    last = "0" if token.text[-1] != "0" else "1"
    for text in (token.text[:-1] + last, token.text[:-1], token.id, "sk-ant-something", "aib_", "é", "x" * 5000):
        answer = control.call(PATH, text)
        assert (answer.status, answer.json["message"]) == (401, "The token is not valid.")
        assert text not in answer.json["detail"] or text == "aib_"


def test_a_token_is_good_until_the_instant_of_its_expiry(database: Database, token: MintedToken) -> None:
    control = Control(database)
    control.now = NOW + 9.999
    assert control.call(PATH, token.text).status == 200
    control.now = NOW + 10.0
    answer = control.call(PATH, token.text)
    assert answer.status == 401
    assert "expired" in answer.json["detail"]


def test_a_revoked_token_is_no_token(database: Database, token: MintedToken) -> None:
    with database.writing() as connection:
        tokens.revoke(connection, token.id, NOW)
    answer = Control(database).call(PATH, token.text)
    assert answer.status == 401
    assert "revoked" in answer.json["detail"]
