"""The organization that a command is about."""

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aibridge.domain.organization import DEFAULT_ORGANIZATION

if TYPE_CHECKING:
    from aibridge.sdk import Client

_Command = TypeVar("_Command", bound=Callable[..., Any])

within_option: Callable[[_Command], _Command] = click.option(
    "--organization",
    envvar="CODER_ORGANIZATION",
    default=str(DEFAULT_ORGANIZATION),
    help="The organization, by id or name.  [env: CODER_ORGANIZATION; default: that which everything begins with]",
)
"""For what is always in one organization."""


def organization_option(help_text: str) -> Callable[[_Command], _Command]:
    """An option for what may be of an organization, or not: its function receives None for not."""
    return click.option("--organization", help=help_text)


def id_of(client: "Client", organization: str) -> uuid.UUID:
    """The id of an organization that somebody named by id or name."""
    try:
        return uuid.UUID(organization)
    except ValueError:
        return client.organization(organization).id
