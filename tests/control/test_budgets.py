"""What somebody may spend, told in micro-dollars, of limits that count for them alone."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from control_driver import NOW, Control
from people import person, token_of

from aibridge.control.dependencies import LimitPresent, SubjectPresent
from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.store.database import Database
from aibridge.store.users import User

INSTANT = NOW * 1_000_000


class Spending:
    """Somebody, and what the gateway tells of its limits."""

    def __init__(self, database: Database) -> None:
        self.ann: User = person(database, "ann", now=INSTANT)
        self._token = token_of(database, self.ann, now=INSTANT).text
        self._present: list[LimitPresent] = []
        self._control = Control(database, limits=self._limits)
        self._without = Control(database)

    async def _limits(self) -> Sequence[LimitPresent]:
        return self._present

    def has(self, name: str, used: dict[str, float] | None = None, **values: Any) -> None:
        """There is a rule, and so much of it is used, by user."""
        given: dict[str, Any] = {"unit": Unit.COST, "amount": 5_000_000, "window": 60.0, "subject": Subject.USER}
        subjects = [SubjectPresent(key=key, used=number) for key, number in (used or {}).items()]
        self._present.append(LimitPresent(rule=Rule(name=name, **given | values), subjects=subjects, decisions={}))

    def budgets(self, *, limited: bool = True) -> Any:
        control = self._control if limited else self._without
        answer = control.call("/api/v2/users/me/ai/budgets", self._token)
        assert answer.status == 200, answer
        return answer.json


@pytest.fixture
def spending(tmp_path: Path) -> Iterator[Spending]:
    with closing(Database.open(f"sqlite:///{tmp_path}/aibridge.db")) as database:
        yield Spending(database)


def test_amounts_are_in_micro_dollars_and_what_is_spent_is_ones_own(spending: Spending) -> None:
    spending.has("daily", {spending.ann.id: 2_500_999.6, "somebody": 4_000_000.0}, window=86400.0)
    spending.has("monthly", amount=1_999)
    assert spending.budgets() == [
        {"limit": "daily", "amount_micros": 5000, "spent_micros": 2501, "window": 86400.0},
        {"limit": "monthly", "amount_micros": 1, "spent_micros": 0, "window": 60.0},
    ]


def test_limits_that_are_no_budget_of_a_user_are_not_among_them(spending: Spending) -> None:
    spending.has("calls", unit=Unit.REQUESTS)
    spending.has("tokens", unit=Unit.TOTAL_TOKENS)
    for subject in (Subject.EVERYONE, Subject.ORGANIZATION, Subject.TOKEN, Subject.ADDRESS):
        spending.has(f"by-{subject}", subject=subject)
    assert spending.budgets() == []


def test_a_budget_is_of_those_whom_it_is_for(spending: Spending) -> None:
    place = str(spending.ann.organization_ids[0])
    spending.has("a", only=("bob", "an?"))
    spending.has("b", only=("bob",))
    spending.has("c", organization=place)
    spending.has("d", organization="00000000-0000-0000-0000-000000000007")
    assert [budget["limit"] for budget in spending.budgets()] == ["a", "c"]


def test_where_nothing_is_limited_there_is_no_budget(spending: Spending) -> None:
    assert spending.budgets() == []
    assert spending.budgets(limited=False) == []
