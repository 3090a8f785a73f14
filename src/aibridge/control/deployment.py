"""The deployment itself: what runs, how it looks, how it is configured and how much it is used."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from aibridge import __version__
from aibridge.contract.deployment import (
    AppearanceConfig,
    AppHostResponse,
    BuildInfoResponse,
    DAUEntry,
    DAUsQuery,
    DAUsResponse,
    DeploymentConfig,
    DeploymentOption,
    Entitlements,
    Feature,
)
from aibridge.control.ask import Ask, AsyncHandler, Handler
from aibridge.control.instants import microseconds
from aibridge.domain.permission import Action, Resource
from aibridge.options import OPTIONS
from aibridge.options_kinds import Address, Option
from aibridge.store import settings, usage

_Ask = Ask[Any, Any]
_APPEARANCE = "appearance"
_PASSWORD = re.compile(r"([?&][a-z_]*password=)[^&]*", re.IGNORECASE)
"""As drivers of databases take one in a URL's query, too: `password`, and `sslpassword` for a key's file."""
_FEATURES = ("aibridge", "audit_log", "custom_roles", "external_database", "multiple_organizations", "user_limit")


async def _build_info(ask: _Ask) -> BuildInfoResponse:
    return BuildInfoResponse(external_url=ask.world.external_url(), version=__version__)


def _appearance(_: _Ask, connection: Connection) -> AppearanceConfig:
    return settings.read(connection, _APPEARANCE, AppearanceConfig) or AppearanceConfig()


def _update_appearance(ask: Ask[None, AppearanceConfig], connection: Connection) -> AppearanceConfig:
    before = _appearance(ask, connection)
    settings.write(connection, _APPEARANCE, ask.body, ask.now)
    ask.record(
        connection,
        Action.UPDATE,
        Resource.DEPLOYMENT_CONFIG,
        id=_APPEARANCE,
        name=_APPEARANCE,
        before=before,
        after=ask.body,
    )
    return ask.body


async def _experiments(_: _Ask) -> list[str]:
    return []


async def _entitlements(_: _Ask) -> Entitlements:
    features = {name: Feature(entitlement="entitled", enabled=True) for name in _FEATURES}
    return Entitlements(
        features=features, warnings=[], errors=[], has_license=False, trial=False, require_telemetry=False
    )


async def _config(ask: _Ask) -> DeploymentConfig:
    given = ask.world.settings
    options = [_option(option, getattr(given, option.field), given.sources.get(option.field)) for option in OPTIONS]
    return DeploymentConfig(config={option.name: option.value for option in options}, options=options)


def _option(option: Option, value: object, source: object) -> DeploymentOption:
    return DeploymentOption(
        name=option.field,
        flag=option.flag,
        env=option.environment[0],
        yaml=option.yaml_keys[0] if option.yaml_keys else "",
        group=option.group,
        description=option.help,
        default=option.default or option.unset,
        secret=option.secret,
        source=str(source or "default"),
        value=_shown(option, value),
    )


def _shown(option: Option, value: object) -> object:
    """A value as JSON has it. Of a secret only whether there is one; and a URL may have a password in it."""
    if option.secret or option.field.endswith("_url"):
        return _hidden(value) if option.secret else _without_password(value)
    return str(value) if isinstance(value, Address) else msgspec.to_builtins(value, enc_hook=str)


def _hidden(value: object) -> str | None:
    return None if value is None or value in {"", ()} else "********"


def _without_password(value: object) -> str | None:
    if value is None:
        return None
    scheme, separator, rest = str(value).partition("://")
    authority, slash, path = _PASSWORD.sub(r"\1********", rest).partition("/")
    user, at, host = authority.rpartition("@")
    if not separator or not at or ":" not in user:
        return f"{scheme}{separator}{authority}{slash}{path}"
    return f"{scheme}://{user.partition(':')[0]}:********@{host}{slash}{path}"


def _daus(ask: Ask[DAUsQuery, None], connection: Connection) -> DAUsResponse:
    offset = timedelta(hours=ask.query.tz_offset)
    today = (datetime.fromtimestamp(ask.world.clock(), UTC) + offset).date()
    days = [today - timedelta(days=back) for back in reversed(range(ask.query.days))]
    start = datetime.combine(days[0], datetime.min.time(), UTC) - offset
    known = dict(usage.daily_active_users(connection, microseconds(start), ask.now, ask.query.tz_offset))
    entries = [DAUEntry(date=day.isoformat(), amount=known.get(day.isoformat(), 0)) for day in days]
    return DAUsResponse(entries=entries, tz_hour_offset=ask.query.tz_offset)


async def _app_host(_: _Ask) -> AppHostResponse:
    return AppHostResponse(host="")


HANDLERS: Mapping[str, Handler | AsyncHandler] = {
    "build_info": _build_info,
    "appearance": _appearance,
    "update_appearance": _update_appearance,
    "experiments": _experiments,
    "entitlements": _entitlements,
    "deployment_config": _config,
    "deployment_daus": _daus,
    "app_host": _app_host,
}
