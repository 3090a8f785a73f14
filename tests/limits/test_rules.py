"""Limits and prices in YAML: what is understood."""

from pathlib import Path

import pytest
from limits_file import File

from aibridge.domain.price import Price
from aibridge.domain.rule import Mode, Rule, Subject, Unit
from aibridge.limits.rules import OwnRules, rules_of
from aibridge.limits.written import PRICE_FIELDS, RULE_FIELDS
from aibridge.options import load

DOLLAR = 1_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "limits.yaml")


def test_everything_a_limit_can_say_is_understood(file: File) -> None:
    assert file.read(
        """
        limits:
          - name: team-tokens
            subject: user
            only: ["alice", "ci-*"]
            organization: 6f1c0a52-0000-4000-8000-000000000001
            provider: anthropic
            model: "claude-*"
            unit: total_tokens
            amount: 100_000
            window: 1m
            burst: 20_000
            mode: shadow
        """
    ).rules == (
        Rule(
            name="team-tokens",
            subject=Subject.USER,
            only=("alice", "ci-*"),
            organization="6f1c0a52-0000-4000-8000-000000000001",
            provider="anthropic",
            model="claude-*",
            unit=Unit.TOTAL_TOKENS,
            amount=100_000,
            window=60.0,
            burst=20_000,
            mode=Mode.SHADOW,
        ),
    )


def test_what_a_limit_does_not_say_means_everyone_everywhere_enforced(file: File) -> None:
    assert file.read("limits: [{name: a, unit: requests, amount: 5, window: 10}]").rules == (
        Rule(name="a", unit=Unit.REQUESTS, amount=5, window=10.0),
    )


def test_limits_stand_in_the_order_of_the_file(file: File) -> None:
    text = "limits: [{name: b, unit: concurrent, amount: 1}, {name: a, unit: concurrent, amount: 2}]"
    assert [rule.name for rule in file.read(text).rules] == ["b", "a"]


def test_a_queue_has_a_timeout_and_a_size(file: File) -> None:
    (whole, short) = file.read(
        """
        limits:
          - {name: a, unit: concurrent, amount: 5, queue: {timeout: 5s, size: 100}}
          - {name: b, unit: concurrent, amount: 5, queue: {timeout: 500ms}}
        """
    ).rules
    assert (whole.queue_timeout, whole.queue_size) == (5.0, 100)
    assert (short.queue_timeout, short.queue_size) == (0.5, 1000)


def test_networks_are_written_in_one_way(file: File) -> None:
    text = 'limits: [{name: a, subject: address, only: ["FD00::/48", 10.0.0.7], unit: concurrent, amount: 1}]'
    assert file.read(text).rules[0].only == ("fd00::/48", "10.0.0.7/32")


def test_a_single_pattern_needs_no_list(file: File) -> None:
    text = "limits: [{name: a, subject: organization, only: research, unit: concurrent, amount: 1}]"
    assert file.read(text).rules[0].only == ("research",)


@pytest.mark.parametrize(
    ("dollars", "nano"),
    [("12.50", 12_500_000_000), ("0.000000001", 1), ("1_000_000", DOLLAR * 10**6), ("3", 3 * DOLLAR)],
)
def test_cost_is_exact_to_the_nano_dollar(file: File, dollars: str, nano: int) -> None:
    limits = f"limits: [{{name: a, unit: cost, amount: {dollars}, window: 1d, burst: {dollars}}}]"
    (rule,) = file.read(f"{limits}\nprices: [{{input: 1, output: 1}}]").rules
    assert (rule.amount, rule.burst) == (nano, nano)


def test_prices_are_per_million_tokens_and_in_the_order_of_the_file(file: File) -> None:
    assert file.read(
        """
        prices:
          - {model: "gpt-5*", input: 1.25, output: 10, cache_read: 0.125, cache_write: 1.25}
          - {input: 0, output: 0.000000001}
        """
    ).prices == (
        Price(
            model="gpt-5*",
            input=1_250_000_000,
            output=10 * DOLLAR,
            cache_read=125_000_000,
            cache_write=1_250_000_000,
        ),
        Price(model="*", input=0, output=1),
    )


@pytest.mark.parametrize("text", ["", "limits:\n", "limits: []\nprices: []", "{}"])
def test_a_file_may_have_no_limits(file: File, text: str) -> None:
    assert file.read(text) == ((), ())


def test_the_two_options_are_limits_too_and_come_first(file: File) -> None:
    file.path.write_text("limits: [{name: mine, unit: concurrent, amount: 1}]")
    flags = {
        "--config": str(file.path),
        "--aibridge-max-concurrency": "200",
        "--aibridge-rate-limit": "5",
        "--aibridge-queue-timeout": "2s",
        "--aibridge-queue-size": "50",
    }
    assert rules_of(load(flags, {})) == (
        Rule(name="concurrency", unit=Unit.CONCURRENT, amount=200, queue_timeout=2.0, queue_size=50),
        Rule(name="token", unit=Unit.REQUESTS, amount=5, window=1.0, subject=Subject.TOKEN),
        Rule(name="mine", unit=Unit.CONCURRENT, amount=1),
    )


def test_without_a_queue_timeout_nobody_waits() -> None:
    assert rules_of(load({"--aibridge-max-concurrency": "1"}, {})) == (
        Rule(name="concurrency", unit=Unit.CONCURRENT, amount=1),
    )


def test_nothing_is_limited_unless_it_is_asked_for() -> None:
    assert rules_of(load({}, {})) == ()


def test_the_example_of_the_documentation_is_understood(file: File) -> None:
    page = (Path(__file__).parents[2] / "docs/limits.md").read_text()
    written = file.read(page.partition("```yaml\n")[2].partition("```")[0])
    assert [rule.name for rule in written.rules] == ["team-tokens", "research-budget", "slots", "office"]
    assert len(written.prices) == 2


def test_the_documentation_has_every_field() -> None:
    page = (Path(__file__).parents[2] / "docs/limits.md").read_text()
    for field in (*RULE_FIELDS, *PRICE_FIELDS, *Unit, *Subject, *Mode):
        assert f"`{field}`" in page


def test_rules_of_the_database_come_after_those_of_the_configuration_whose_names_are_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own, other, taken, twice = (
        Rule(name=name, unit=Unit.CONCURRENT, amount=amount)
        for name, amount in (("a", 1), ("b", 2), ("a", 3), ("b", 4))
    )
    rules = OwnRules([own])
    for _ in range(3):
        assert rules.beside([taken, other, twice]) == (own, other)
    assert rules.beside([]) == (own,)
    assert [record.getMessage() for record in caplog.records] == [
        f"the limit {name!r} of the database is ignored: another one has its name" for name in ("a", "b")
    ]
