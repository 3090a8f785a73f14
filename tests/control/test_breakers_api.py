"""The circuit breakers as a client sees them, and closing one by hand."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from control_driver import NOW, Control
from people import person, token_of

from aibridge.control.dependencies import BreakerPresent
from aibridge.domain.roles import OWNER
from aibridge.overload.breaker import State
from aibridge.store.database import Database

PATH = "/api/v2/aibridge/breakers"
INSTANT = NOW * 1_000_000
OPEN = BreakerPresent(
    name="openai:main:org/gpt-5",
    provider="openai",
    credential="main",
    model="org/gpt-5",
    state=State.OPEN,
    seconds_left=12.5,
    calls=20,
    failures=11,
    slow=2,
    trips=3,
    rejections=400,
)


class Bench:
    """Breakers by name, and which of them were reset."""

    def __init__(self, *breakers: BreakerPresent) -> None:
        self.known = {breaker.name: breaker for breaker in breakers}
        self.resets: list[str] = []

    def present(self) -> Sequence[BreakerPresent]:
        return list(self.known.values())

    def reset(self, name: str) -> None:
        if name not in self.known:
            raise LookupError(name)
        self.resets.append(name)


class Team(msgspec.Struct):
    """An owner and a member, with a token each."""

    control: Control
    bench: Bench
    owner: str
    member: str


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with closing(Database.open(f"sqlite:///{tmp_path}/aibridge.db")) as database:
        owner = person(database, "root", roles=(OWNER.identifier,), now=INSTANT)
        member = person(database, "ann", now=INSTANT)
        texts = [token_of(database, user, now=INSTANT).text for user in (owner, member)]
        closed = msgspec.structs.replace(OPEN, name="anthropic:main:*", state=State.CLOSED, seconds_left=0.0)
        bench = Bench(OPEN, closed)
        yield Team(Control(database, breakers=bench), bench, *texts)


def test_each_breaker_is_told_in_full_in_the_order_of_names(team: Team) -> None:
    answer = team.control.call(PATH, team.member)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json["count"] == 2
    first, second = answer.json["results"]
    assert (first["name"], first["state"]) == ("anthropic:main:*", "closed")
    assert second == {
        "name": "openai:main:org/gpt-5",
        "provider": "openai",
        "credential": "main",
        "model": "org/gpt-5",
        "state": "open",
        "seconds_left": 12.5,
        "calls": 20,
        "failures": 11,
        "slow": 2,
        "trips": 3,
        "rejections": 400,
    }


@pytest.mark.parametrize("root", ["/api/v2/aibridge/breakers", "/api/v2/ai-gateway/breakers"])
def test_an_owner_closes_a_breaker_whose_name_has_a_slash(team: Team, root: str) -> None:
    answer = team.control.call(f"{root}/{OPEN.name}/reset", team.owner, method="POST")
    assert (answer.status, answer.body) == (204, b"")
    assert team.bench.resets == [OPEN.name]
    assert team.control.call(root, team.owner).json["count"] == 2


def test_others_close_nothing_whether_it_is_there_or_not(team: Team) -> None:
    for name in (OPEN.name, "nothing"):
        answer = team.control.call(f"{PATH}/{name}/reset", team.member, method="POST")
        assert (answer.status, answer.json["message"]) == (403, "You are not allowed to do this.")
    assert team.control.call(f"{PATH}/{OPEN.name}/reset", method="POST").status == 401
    assert team.bench.resets == []


@pytest.mark.parametrize("name", ["nothing", "a/reset/b", "openai:main:org"])
def test_a_breaker_that_is_not_there_is_named(team: Team, name: str) -> None:
    answer = team.control.call(f"{PATH}/{name}/reset", team.owner, method="POST")
    assert (answer.status, answer.json["message"]) == (
        404,
        "Resource not found or you do not have access to this resource.",
    )
    assert set(answer.json) == {"message", "detail", "validations"}


def test_strangers_see_nothing(team: Team) -> None:
    assert team.control.call(PATH).status == 401


def test_reading_closes_nothing(team: Team) -> None:
    answer = team.control.call(f"{PATH}/{OPEN.name}/reset", team.owner)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert team.bench.resets == []


def test_a_gateway_without_breakers_has_none_to_show_or_close(tmp_path: Path) -> None:
    with closing(Database.open(f"sqlite:///{tmp_path}/other.db")) as database:
        owner = person(database, "root", roles=(OWNER.identifier,), now=INSTANT)
        token = token_of(database, owner, now=INSTANT).text
        control = Control(database)
        assert control.call(PATH, token).json == {"count": 0, "results": []}
        assert control.call(f"{PATH}/x/reset", token, method="POST").status == 404
