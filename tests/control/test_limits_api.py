"""The rules and their use as an owner and others see them."""

import asyncio
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from control_driver import NOW, Answer, Control
from people import person, token_of

from aibridge.control.dependencies import LimitPresent, SubjectPresent
from aibridge.control.limits import MOST_WATCHED
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.price import Price
from aibridge.domain.roles import OWNER
from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.domain.token import MintedToken
from aibridge.options import load
from aibridge.store.database import Database

PATH = "/api/v2/aibridge/limits"
INSTANT = NOW * 1_000_000
RULE = Rule(
    name="spend",
    unit=Unit.COST,
    amount=5_000_000_000,
    window=86400.0,
    burst=1_000_000_000,
    subject=Subject.USER,
    only=("ann",),
    provider="anthropic",
    model="claude-*",
    mode=Mode.SHADOW,
    queue_timeout=2.5,
    queue_size=7,
)


class Team(msgspec.Struct):
    """An owner and a member, and what the gateway tells of its limits."""

    database: Database
    control: Control
    owner: MintedToken
    member: MintedToken
    second: MintedToken
    """Another token of the member's."""
    owner_id: str
    member_id: str
    present: list[LimitPresent]

    def use(self, subject: Subject, **used: float) -> None:
        """Say how much subjects use of a rule over `subject`s."""
        rule = Rule(name=str(subject), unit=Unit.REQUESTS, amount=10, window=1.0, subject=subject)
        subjects = [SubjectPresent(key=key, used=number) for key, number in used.items()]
        self.present.append(LimitPresent(rule=rule, subjects=subjects, decisions={"admitted": 3}))

    def seen(self, token: MintedToken) -> list[list[Any]]:
        """Keys and numbers of the subjects of each rule."""
        answer = self.control.call(PATH, token.text)
        assert answer.status == 200, answer
        return [[(use["key"], use["used"]) for use in rule["subjects"]] for rule in answer.json["results"]]


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    present: list[LimitPresent] = []

    async def limits() -> Sequence[LimitPresent]:
        return present

    with closing(Database.open(f"sqlite:///{tmp_path}/aibridge.db")) as database:
        owner = person(database, "root", roles=(OWNER.identifier,), now=INSTANT)
        member = person(database, "ann", now=INSTANT)
        minted = [token_of(database, user, now=INSTANT) for user in (owner, member, member)]
        yield Team(
            database=database,
            control=Control(database, limits=limits),
            owner=minted[0],
            member=minted[1],
            second=minted[2],
            owner_id=owner.id,
            member_id=member.id,
            present=present,
        )


def test_a_rule_is_told_with_all_its_fields_use_and_decisions(team: Team) -> None:
    team.present.append(
        LimitPresent(
            rule=RULE,
            subjects=[SubjectPresent(key="u1", used=12.5)],
            decisions={"admitted": 40, "shadow_refused": 2},
        )
    )
    answer = team.control.call(PATH, team.owner.text)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json == {
        "count": 1,
        "results": [
            {
                "name": "spend",
                "unit": "cost",
                "amount": 5_000_000_000,
                "window": 86400.0,
                "burst": 1_000_000_000,
                "subject": "user",
                "only": ["ann"],
                "provider": "anthropic",
                "model": "claude-*",
                "mode": "shadow",
                "queue_timeout": 2.5,
                "queue_size": 7,
                "organization_id": None,
                "source": "database",
                "subjects": [{"key": "u1", "used": 12.5}],
                "decisions": {"admitted": 40, "shadow_refused": 2},
            }
        ],
    }


def test_no_field_of_a_rule_is_missing_from_its_view(team: Team) -> None:
    team.present.append(LimitPresent(rule=RULE, subjects=[], decisions={}))
    (told,) = team.control.call(PATH, team.owner.text).json["results"]
    assert set(Rule.__struct_fields__) - {"organization"} <= set(told)


def test_an_owner_sees_every_subject_and_the_greediest_first(team: Team) -> None:
    team.use(Subject.USER, x=1.0, y=3.0, z=2.0)
    assert team.seen(team.owner) == [[("y", 3.0), ("z", 2.0), ("x", 1.0)]]


def test_others_see_their_own_use_and_that_of_all_together(team: Team) -> None:
    team.use(Subject.EVERYONE, **{"": 9.0})
    team.use(Subject.USER, **{team.member_id: 4.0, team.owner_id: 5.0})
    team.use(Subject.TOKEN, **{team.member.id: 1.0, team.second.id: 2.0, team.owner.id: 3.0, "gone": 7.0})
    team.use(Subject.ORGANIZATION, **{str(DEFAULT_ORGANIZATION): 6.0, "other": 8.0})
    team.use(Subject.ADDRESS, **{"127.0.0.1": 1.0})
    assert team.seen(team.member) == [
        [("", 9.0)],
        [(team.member_id, 4.0)],
        [(team.second.id, 2.0), (team.member.id, 1.0)],
        [(str(DEFAULT_ORGANIZATION), 6.0)],
        [],
    ]


def test_only_owners_see_how_often_others_were_refused(team: Team) -> None:
    team.use(Subject.USER)
    (told,) = team.control.call(PATH, team.member.text).json["results"]
    assert told["decisions"] is None
    (told,) = team.control.call(PATH, team.owner.text).json["results"]
    assert told["decisions"] == {"admitted": 3}


def test_both_paths_are_one_listing(team: Team) -> None:
    team.use(Subject.USER, x=1.0)
    other = team.control.call("/api/v2/ai-gateway/limits", team.owner.text)
    assert other.body == team.control.call(PATH, team.owner.text).body


def test_strangers_see_nothing_and_nobody_writes(team: Team) -> None:
    assert team.control.call(PATH).status == 401
    assert team.control.call(PATH, method="POST").status == 401
    assert team.control.call(PATH, team.member.text, method="POST").status == 400


COST = {"unit": "cost", "amount": 5_000_000_000, "window": 86400.0}
PRICED = msgspec.structs.replace(load({}, {}), prices=(Price(input=1, output=2),))


def wrong(answer: Answer) -> list[tuple[str, str]]:
    """What an answer says is wrong, by field."""
    assert answer.status == 400, answer
    return [(problem["field"], problem["detail"]) for problem in answer.json["validations"]]


def test_a_limit_on_cost_needs_prices(team: Team) -> None:
    needed = [("unit", "a limit on cost needs prices in the configuration")]
    made = team.control.call(PATH, team.owner.text, method="POST", body=COST | {"name": "spend"})
    assert wrong(made) == needed
    rule = {"unit": "requests", "amount": 5, "window": 60.0}
    assert team.control.call(PATH, team.owner.text, method="POST", body=rule | {"name": "spend"}).status == 201
    assert wrong(team.control.call(f"{PATH}/spend", team.owner.text, method="PUT", body=COST)) == needed
    priced = Control(team.database, settings=PRICED)
    assert priced.call(f"{PATH}/spend", team.owner.text, method="PUT", body=COST).json["amount"] == COST["amount"]
    assert priced.call(PATH, team.owner.text, method="POST", body=COST | {"name": "other"}).status == 201


@pytest.mark.parametrize("field", ["amount", "burst"])
def test_what_is_wrong_with_an_amount_of_cost_is_said_in_its_unit(team: Team, field: str) -> None:
    body = COST | {"name": "spend", field: -7}
    ((found, detail),) = wrong(
        Control(team.database, settings=PRICED).call(PATH, team.owner.text, method="POST", body=body)
    )
    assert (found, detail.partition(";")[0]) == (field, '"-7" is not allowed')
    assert "nano-dollars, a whole number from 1" in detail


def test_no_limit_has_the_name_of_a_path_beside_the_limits(team: Team) -> None:
    rule = {"name": "watch", "unit": "requests", "amount": 5, "window": 60.0}
    ((field, detail),) = wrong(team.control.call(PATH, team.owner.text, method="POST", body=rule))
    assert (field, "'watch' cannot be the name" in detail) == ("name", True)


class Stream:
    """One that follows the limits: what it was told, its status first, until it is left."""

    def __init__(self, control: Control, token: MintedToken) -> None:
        self.told: list[bytes] = []
        self._heard = asyncio.Event()
        headers = [(b"authorization", f"Bearer {token.text}".encode())]
        self._task = asyncio.create_task(control.sent("GET", f"{PATH}/watch", headers, send=self._send))

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        self.told.append(str(message["status"]).encode() if "status" in message else message["body"])
        if len(self.told) > 1:
            self._heard.set()

    async def begun(self) -> bytes:
        """The status, once there is more than that."""
        await asyncio.wait_for(self._heard.wait(), 10)
        return self.told[0]

    async def leave(self) -> None:
        """End it as a client does that goes away."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def test_one_user_follows_the_limits_only_so_often_at_once(team: Team) -> None:
    async def scenario() -> None:
        streams = [Stream(team.control, team.member) for _ in range(MOST_WATCHED)]
        assert {await stream.begun() for stream in streams} == {b"200"}
        for token, status in ((team.second, b"429"), (team.owner, b"200")):
            streams.append(Stream(team.control, token))
            assert await streams[-1].begun() == status
        await streams[0].leave()
        streams.append(Stream(team.control, team.second))
        assert await streams[-1].begun() == b"200"
        for stream in streams:
            await stream.leave()

    asyncio.run(scenario())


def test_who_follows_the_limits_does_not_keep_a_server_from_stopping(team: Team) -> None:
    async def scenario() -> None:
        stream = Stream(Control(team.database, stopping=lambda: True), team.member)
        await stream.begun()
        assert stream.told == [b"200", b""]
        await stream.leave()

    asyncio.run(scenario())
