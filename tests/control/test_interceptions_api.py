"""The listing of interceptions as a client sees it."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from control_driver import NOW, Control
from people import person, token_of

from aibridge.domain.interception import Ending, Interception, Status
from aibridge.domain.roles import OWNER
from aibridge.domain.usage import Usage, UsageSource
from aibridge.store import schema
from aibridge.store.database import Database
from aibridge.store.sink import LedgerSink
from aibridge.store.snapshot import snapshot

PATH = "/api/v2/aibridge/interceptions"
INSTANT = NOW * 1_000_000


class Team(msgspec.Struct):
    """An owner and a member, with a token each."""

    database: Database
    control: Control
    owner: str
    member: str
    member_id: str

    def record(self, name: str, *, actor_id: str | None = None, client: str = "Claude Code", at: int = 0) -> None:
        start = Interception(
            id=name,
            actor_id=self.member_id if actor_id is None else actor_id,
            token_id="tok",
            provider="anthropic",
            route="/v1/messages",
            model="claude-sonnet-5",
            streaming=True,
            client=client,
            session_id=None,
            user_agent="claude-cli/2.1",
            started_at=INSTANT + at,
        )
        LedgerSink(self.database).write([start], [])

    def listed(self, token: str, query: str = "") -> list[str]:
        answer = self.control.call(f"{PATH}?{query}", token)
        assert answer.status == 200, answer
        return [row["id"] for row in answer.json["results"]]


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with closing(Database.open(f"sqlite:///{tmp_path}/aibridge.db")) as database:
        owner = person(database, "root", roles=(OWNER.identifier,), now=INSTANT)
        member = person(database, "ann", now=INSTANT)
        texts = [token_of(database, user, now=INSTANT).text for user in (owner, member)]
        yield Team(database, Control(database), texts[0], texts[1], member.id)


def test_an_ended_call_is_told_in_full(team: Team) -> None:
    team.record("i1")
    usage = Usage(input_tokens=5, output_tokens=7, cache_read_input_tokens=11, extra={"output_reasoning": 3})
    ending = Ending(
        id="i1",
        status=Status.COMPLETED,
        http_status=200,
        first_byte_at=INSTANT + 250_000,
        ended_at=INSTANT + 1_000_001,
        response_id="msg_1",
        usage=usage,
        usage_source=UsageSource.PROVIDER,
    )
    LedgerSink(team.database).write([], [ending])
    answer = team.control.call(PATH, team.member)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json == {
        "count": 1,
        "results": [
            {
                "id": "i1",
                "initiator": {"id": team.member_id, "username": "ann"},
                "api_key_id": "tok",
                "provider": "anthropic",
                "route": "/v1/messages",
                "model": "claude-sonnet-5",
                "client": "Claude Code",
                "session_id": None,
                "user_agent": "claude-cli/2.1",
                "streaming": True,
                "status": "completed",
                "http_status": 200,
                "error": None,
                "started_at": "2026-09-21T14:13:20Z",
                "first_byte_at": "2026-09-21T14:13:20.250000Z",
                "ended_at": "2026-09-21T14:13:21.000001Z",
                "metadata": {},
                "token_usages": [
                    {
                        "id": "i1",
                        "interception_id": "i1",
                        "provider_response_id": "msg_1",
                        "input_tokens": 5,
                        "output_tokens": 7,
                        "cache_read_input_tokens": 11,
                        "cache_write_input_tokens": 0,
                        "metadata": {"output_reasoning": 3},
                        "source": "provider",
                        "created_at": "2026-09-21T14:13:21.000001Z",
                    }
                ],
                "user_prompts": [],
                "tool_usages": [],
            }
        ],
    }


def test_a_running_call_has_the_same_keys_and_no_end(team: Team) -> None:
    team.record("i1", actor_id="gone")
    (row,) = team.control.call(PATH, team.owner).json["results"]
    assert row["initiator"] == {"id": "gone", "username": None}
    absent = ("status", "http_status", "error", "first_byte_at", "ended_at")
    assert [row[name] for name in absent] == [None] * 5
    assert row["token_usages"] == []


def test_a_call_without_usage_has_no_token_usages(team: Team) -> None:
    team.record("i1")
    LedgerSink(team.database).write([], [Ending(id="i1", status=Status.CANCELLED, ended_at=INSTANT)])
    (row,) = team.control.call(PATH, team.owner).json["results"]
    assert (row["status"], row["token_usages"]) == ("cancelled", [])


def test_both_paths_are_one_listing(team: Team) -> None:
    team.record("i1")
    other = team.control.call("/api/v2/ai-gateway/interceptions", team.owner)
    assert other.body == team.control.call(PATH, team.owner).body


def test_an_owner_sees_all_and_others_their_own(team: Team) -> None:
    team.record("hers")
    team.record("his", actor_id="somebody", at=1)
    assert team.listed(team.owner) == ["his", "hers"]
    assert team.listed(team.owner, "initiator=ann") == ["hers"]
    assert team.listed(team.owner, "initiator=me") == []
    assert team.listed(team.member) == team.listed(team.member, "q=initiator:me") == ["hers"]
    assert team.listed(team.member, "initiator=somebody") == []


def test_filters_reach_the_database(team: Team) -> None:
    team.record("a", client="Codex")
    team.record("b", at=1_000_000)
    assert team.listed(team.owner, "q=" + quote('client:"Claude Code" provider:anthropic')) == ["b"]
    assert team.listed(team.owner, "started_before=2026-09-21T14:13:20Z") == ["a"]
    assert team.listed(team.owner, "client=" + quote("x' OR '1'='1")) == []


def test_pages_follow_each_other_by_cursor_or_by_offset(team: Team) -> None:
    for number in range(5):
        team.record(f"i{number}", at=number)
    assert team.listed(team.owner, "limit=2") == ["i4", "i3"]
    assert team.listed(team.owner, "limit=2&after_id=i3") == ["i2", "i1"]
    assert team.listed(team.owner, "limit=2&offset=4") == ["i0"]
    assert team.control.call(f"{PATH}?limit=2&offset=4", team.owner).json["count"] == 5


def test_bad_parameters_are_a_400_that_names_them(team: Team) -> None:
    answer = team.control.call(f"{PATH}?limit=0&colour=red", team.owner)
    assert answer.status == 400
    assert answer.json["message"] == "Query parameters have invalid values."
    assert [problem["field"] for problem in answer.json["validations"]] == ["colour", "limit"]


def test_paging_errors_have_the_words_clients_know(team: Team) -> None:
    team.record("his", actor_id="somebody")
    both = team.control.call(f"{PATH}?after_id=x&offset=1", team.owner)
    assert both.status == 400
    assert both.json["message"] == "Cannot use both after_id and offset pagination in the same request."
    for token, cursor in ((team.owner, "nothing"), (team.member, "his")):
        answer = team.control.call(f"{PATH}?after_id={cursor}", token)
        assert (answer.status, answer.json["message"]) == (400, "Invalid pagination cursor.")


def test_a_database_in_trouble_is_a_503_that_says_when_to_come_back(
    team: Team, caplog: pytest.LogCaptureFixture
) -> None:
    known = snapshot(team.database)
    control = Control(team.database, snapshot=lambda: known)
    with team.database.writing() as connection:
        connection.exec_driver_sql(f"DROP TABLE {schema.interceptions.name}")
    with caplog.at_level(logging.WARNING):
        answer = control.call(PATH, team.owner)
    assert (answer.status, answer.raised) == (503, None)
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.json["message"] == "The database is unavailable. Please try again later."
    assert b"interceptions" not in answer.body
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no such table" in caplog.text
