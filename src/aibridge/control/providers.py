"""Providers: those of the configuration to see, those of the database to change. A key goes in and never comes out."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from aibridge.contract.aibridge import (
    CreateProviderRequest,
    ProvidersResponse,
    ProviderView,
    UpdateProviderRequest,
)
from aibridge.control.ask import Ask, Handler
from aibridge.control.errors import Conflicting, NotFound
from aibridge.control.instants import instant
from aibridge.domain.permission import Action, Resource
from aibridge.domain.provider import Provider
from aibridge.store import providers
from aibridge.store.paging import Paging
from aibridge.store.providers import StoredProvider
from aibridge.store.sealing import Keyring

_Ask = Ask[Any, Any]
_EVERY = Paging(limit=10_000)


def _list(ask: _Ask, connection: Connection) -> ProvidersResponse:
    configured = [_configured_view(provider) for provider in ask.world.configured_providers]
    stored = [_view(provider) for provider in providers.page(connection, _EVERY).providers]
    every = sorted((*configured, *stored), key=lambda provider: (provider.name, provider.source))
    return ProvidersResponse(providers=every, count=len(every))


def _one(ask: _Ask, _: Connection) -> ProviderView:
    if ask.things.provider is not None:
        return _view(ask.things.provider)
    configured = _configured(ask, ask.things.named["provider"])
    if configured is None:
        raise NotFound
    return _configured_view(configured)


def _create(ask: Ask[None, CreateProviderRequest], connection: Connection) -> ProviderView:
    wanted = ask.body
    if _configured(ask, wanted.name) is not None:
        raise Conflicting(f"There is a provider {wanted.name!r} in the server's configuration.", "name")
    made = providers.insert(connection, _keyring(ask), **msgspec.structs.asdict(wanted), now=ask.now)
    _record(ask, connection, Action.CREATE, made, after=made)
    return _view(made)


def _update(ask: Ask[None, UpdateProviderRequest], connection: Connection) -> ProviderView:
    before = _kept(ask)
    after = providers.update(connection, _keyring(ask), before.id, **msgspec.structs.asdict(ask.body), now=ask.now)
    _record(ask, connection, Action.UPDATE, after, before=before, after=after)
    return _view(after)


def _delete(ask: _Ask, connection: Connection) -> None:
    before = _kept(ask)
    providers.delete(connection, before.id)
    _record(ask, connection, Action.DELETE, before, before=before)


def _keyring(ask: _Ask) -> Keyring:
    if ask.world.keyring is None:
        raise RuntimeError("the control plane was given no keyring")
    return ask.world.keyring


def _kept(ask: _Ask) -> StoredProvider:
    """The provider of the database that the path names.

    Raises:
        Conflicting: it is the configuration's.
        NotFound: there is none.
    """
    if ask.things.provider is not None:
        return ask.things.provider
    name = ask.things.named["provider"]
    if _configured(ask, name) is not None:
        raise Conflicting(f"The provider {name!r} is in the server's configuration: change it there.")
    raise NotFound


def _configured(ask: _Ask, name: str) -> Provider | None:
    return next((provider for provider in ask.world.configured_providers if provider.name == name), None)


def _view(provider: StoredProvider) -> ProviderView:
    return ProviderView(
        id=provider.id,
        name=provider.name,
        display_name=provider.display_name,
        kind=provider.kind,
        base_url=provider.base_url,
        enabled=provider.enabled,
        internal=provider.internal,
        key_hint=provider.last_four,
        source="database",
        created_at=instant(provider.created_at),
        updated_at=instant(provider.updated_at),
    )


def _configured_view(provider: Provider) -> ProviderView:
    return ProviderView(
        id=provider.name,
        name=provider.name,
        display_name=provider.name,
        kind=provider.kind,
        base_url=provider.base_url,
        enabled=True,
        internal=provider.internal,
        key_hint=None if provider.key is None else "",
        source="configuration",
        created_at=None,
        updated_at=None,
    )


def _record(  # noqa: PLR0913 (who, where, and what it was and is)
    ask: _Ask,
    connection: Connection,
    action: Action,
    provider: StoredProvider,
    *,
    before: StoredProvider | None = None,
    after: StoredProvider | None = None,
) -> None:
    ask.record(
        connection,
        action,
        Resource.PROVIDER,
        id=provider.id,
        name=provider.name,
        before=None if before is None else _view(before),
        after=None if after is None else _view(after),
    )


HANDLERS: Mapping[str, Handler] = {
    "providers": _list,
    "create_provider": _create,
    "provider": _one,
    "update_provider": _update,
    "delete_provider": _delete,
}
