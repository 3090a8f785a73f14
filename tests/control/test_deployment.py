"""The deployment as its owner sees it: every option with what decided it, no secret of any, and how much is used."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from control_driver import NOW, Control
from people import person, token_of

from aibridge.control.deployment import _without_password
from aibridge.domain.interception import Interception
from aibridge.domain.interception_id import interception_id
from aibridge.domain.roles import OWNER
from aibridge.options import OPTIONS, load
from aibridge.options_kinds import Option
from aibridge.store.database import Database
from aibridge.store.sink import LedgerSink

API = "/api/v2"
INSTANT = NOW * 1_000_000
HOUR = 3_600_000_000
CANARY = "canary-in-the-mine"
MASTER_KEY = CANARY.encode().ljust(32, b"!")
TEXTS = {"database_url": f"postgresql://me:{CANARY}@host/db", "redis_url": f"redis://me:{CANARY}@host:6379/0"}
SECRETS = [option for option in OPTIONS if option.secret]
BY_FLAG, BY_ENVIRONMENT = "flag", "environment"


class Site(msgspec.Struct):
    """A database, and the token of its owner."""

    database: Database
    token: str

    def ask(self, path: str, **dependencies: Any) -> Any:
        answer = Control(self.database, **dependencies).call(f"{API}{path}", self.token)
        assert answer.status == 200, answer
        return answer.json


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with closing(Database.open(f"sqlite:///{tmp_path}/aibridge.db")) as database:
        owner = person(database, "root", roles=(OWNER.identifier,), now=INSTANT)
        yield Site(database, token_of(database, owner, now=INSTANT).text)


def given(option: Option) -> str:
    """A value of a secret option with a canary in it."""
    return MASTER_KEY.hex() if option.field == "encryption_keys" else TEXTS.get(option.field, CANARY)


def shown(site: Site, flags: dict[str, str], environ: dict[str, str]) -> tuple[dict[str, Any], bytes]:
    """The options by name, and the whole answer."""
    control = Control(site.database, settings=load(flags, environ))
    answer = control.call(f"{API}/deployment/config", site.token)
    assert answer.status == 200, answer
    return {option["name"]: option for option in answer.json["options"]}, answer.body


def test_there_are_secrets_and_their_names_say_so() -> None:
    marked = {option.field for option in SECRETS}
    assert {"openai_key", "anthropic_key", "oidc_client_secret", "encryption_keys", "database_url"} <= marked
    telling = ("key", "keys", "secret", "password", "token")
    assert marked >= {
        option.field for option in OPTIONS if option.field.endswith(telling) and "file" not in option.help
    }


@pytest.mark.parametrize("where", [BY_FLAG, BY_ENVIRONMENT, "fallback"])
@pytest.mark.parametrize("option", SECRETS, ids=lambda option: option.field)
def test_a_secret_is_never_shown(site: Site, option: Option, where: str) -> None:
    flags = {option.flag: given(option)} if where == BY_FLAG else {}
    name = option.environment[0] if where == BY_ENVIRONMENT or option.fallback is None else option.fallback
    options, body = shown(site, flags, {} if flags else {name: given(option)})
    assert options[option.field]["value"] == "********"
    assert options[option.field]["secret"] is True
    assert options[option.field]["source"] == (f"flag {option.flag}" if flags else f"environment {name}")
    for form in (CANARY.encode(), given(option).encode(), MASTER_KEY, MASTER_KEY.hex().encode()):
        assert form not in body


@pytest.mark.parametrize("option", SECRETS, ids=lambda option: option.field)
def test_of_a_secret_that_is_not_there_it_is_told_that_it_is_not(site: Site, option: Option) -> None:
    options, _ = shown(site, {}, {})
    assert options[option.field]["value"] is None
    assert options[option.field]["source"] == "default"


def test_every_option_is_shown_in_order_with_its_value(site: Site) -> None:
    flags = {"--aibridge-rate-limit": "7", "--trusted-proxies": "10.0.0.0/8,fd00::/8", "--http-address": "[::1]:80"}
    options, body = shown(site, flags, {"CODER_AIBRIDGE_CONNECT_TIMEOUT": "1.5s"})
    assert [*options] == [option.field for option in OPTIONS]
    values = {name: option["value"] for name, option in options.items()}
    assert msgspec.json.decode(body)["config"] == values
    assert (values["rate_limit"], values["connect_timeout"]) == (7, 1.5)
    assert (values["trusted_proxies"], values["http_address"]) == (["10.0.0.0/8", "fd00::/8"], "[::1]:80")
    assert values["enabled"] is True
    assert options["connect_timeout"]["source"] == "environment CODER_AIBRIDGE_CONNECT_TIMEOUT"
    assert options["connect_timeout"]["yaml"] == "aibridge.connect_timeout"
    assert options["data_dir"]["default"] == "$XDG_DATA_HOME/aibridge, or ~/.local/share/aibridge"


def test_the_other_path_shows_the_same(site: Site) -> None:
    assert site.ask("/config/deployment") == site.ask("/deployment/config")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (None, None),
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        (f"https://me:{CANARY}@host:8080/v1", "https://me:********@host:8080/v1"),
        (f"https://:{CANARY}@host", "https://:********@host"),
        (f"https://me:{CANARY}@more@host/a@b", "https://me:********@host/a@b"),
        ("https://me@host/a:b@c", "https://me@host/a:b@c"),
        (f"postgresql://host/db?user=me&password={CANARY}&x=1", "postgresql://host/db?user=me&password=********&x=1"),
        (f"redis://host?password={CANARY}/@", "redis://host?password=********"),
        (f"postgresql://me@host/db?sslPassword={CANARY}", "postgresql://me@host/db?sslPassword=********"),
        (f"postgresql://me:{CANARY}@host/db?password={CANARY}", "postgresql://me:********@host/db?password=********"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_password_in_a_url_is_hidden(url: str | None, told: str | None) -> None:
    assert _without_password(url) == told


def calls(site: Site, *made: tuple[str, int]) -> None:
    """Record calls: of whom, and when."""
    LedgerSink(site.database).write(
        [
            Interception(
                id=interception_id(at, number),
                actor_id=who,
                token_id="t",
                provider="openai",
                route="/v1/chat/completions",
                model="gpt-5",
                streaming=False,
                client="curl",
                session_id=None,
                user_agent="curl/8",
                started_at=at,
            )
            for number, (who, at) in enumerate(made)
        ],
        [],
    )


def daily(site: Site, query: str) -> list[tuple[str, int]]:
    return [(entry["date"], entry["amount"]) for entry in site.ask(f"/insights/daus?{query}")["entries"]]


def test_active_users_are_told_by_day_with_today_last_and_empty_days_among_them(site: Site) -> None:
    midnight = INSTANT - INSTANT % (24 * HOUR)
    first = midnight - 48 * HOUR
    calls(site, ("a", first - 1), ("a", first), ("b", first), ("a", first + 5), ("a", INSTANT), ("b", INSTANT + 1))
    assert daily(site, "days=3") == [("2026-09-19", 2), ("2026-09-20", 0), ("2026-09-21", 1)]
    assert len(daily(site, "")) == 60
    assert site.ask("/insights/daus?tz_offset=-3")["tz_hour_offset"] == -3


@pytest.mark.parametrize(
    ("offset", "days"),
    [
        (0, [("2026-09-20", 0), ("2026-09-21", 1)]),  # it is 14:13 in UTC
        (10, [("2026-09-21", 1), ("2026-09-22", 0)]),
        (14, [("2026-09-21", 1), ("2026-09-22", 0)]),
        (-12, [("2026-09-20", 1), ("2026-09-21", 0)]),
    ],
)
def test_days_are_those_of_the_zone_that_is_asked_for(site: Site, offset: int, days: list[tuple[str, int]]) -> None:
    calls(site, ("a", INSTANT - INSTANT % (24 * HOUR) + HOUR))
    assert daily(site, f"days=2&tz_offset={offset}") == days


@pytest.mark.parametrize("offset", [-12, 10])
def test_the_first_day_is_whole_in_its_zone(site: Site, offset: int) -> None:
    today = (INSTANT + offset * HOUR) // (24 * HOUR)
    start = (today - 1) * 24 * HOUR - offset * HOUR
    calls(site, ("a", start - 1), ("b", start), ("c", start + 24 * HOUR - 1))
    assert [amount for _, amount in daily(site, f"days=2&tz_offset={offset}")] == [2, 0]


@pytest.mark.parametrize("query", ["tz_offset=15", "tz_offset=-13", "days=0", "days=367", "tz_offset=1.5", "x=1"])
def test_zones_and_days_have_bounds(site: Site, query: str) -> None:
    assert Control(site.database).call(f"{API}/insights/daus?{query}", site.token).status == 400


def test_what_is_not_here_is_said_in_the_form_that_clients_expect(site: Site) -> None:
    assert site.ask("/applications/host") == {"host": ""}
    assert site.ask("/experiments") == []
    entitlements = site.ask("/entitlements")
    assert entitlements["has_license"] is False
    assert {feature["entitlement"] for feature in entitlements["features"].values()} == {"entitled"}
    assert site.ask("/workspace-quota/me") == {"credits_consumed": 0, "budget": -1}


def test_how_pages_look_is_kept_and_told_to_everybody(site: Site) -> None:
    control = Control(site.database)
    before = control.call(f"{API}/appearance").json
    changed = before | {"application_name": "Bridge"}
    assert control.call(f"{API}/appearance", site.token, method="PUT", body=changed).json == changed
    assert control.call(f"{API}/appearance").json == changed
    (entry,) = site.ask("/audit")["audit_logs"]
    assert (entry["resource"], entry["before"], entry["after"]) == ("deployment_config", before, changed)
