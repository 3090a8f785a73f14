"""`aibridge providers`: the vendors that calls are relayed to, and their keys."""

from typing import IO, TYPE_CHECKING

import click
import msgspec

from aibridge.cli.asking import asks
from aibridge.cli.consent import consent, yes_option
from aibridge.cli.output import output_option, show_one
from aibridge.cli.output import show as show_all
from aibridge.cli.session import first_line
from aibridge.contract.aibridge import CreateProviderRequest, UpdateProviderRequest
from aibridge.domain.provider import ProviderKind

if TYPE_CHECKING:
    from aibridge.sdk import Client

_COLUMNS = ("name", "kind", "base_url", "enabled", "internal", "key_hint", "source")

_key_option = click.option(
    "--key-file",
    type=click.File(encoding="utf-8"),
    help="File with the key, - for standard input. A key is never an argument, which others could see.",
)


@click.group("providers")
def command() -> None:
    """Say which vendors calls are relayed to."""


@command.command("list")
@output_option
@asks
def listing(client: "Client", *, output: str) -> None:
    """List the providers."""
    show_all(client.providers().providers, _COLUMNS, output)


@command.command("create")
@click.argument("name", help="It stands in the paths of the routes.")
@click.option(
    "--kind", required=True, type=click.Choice([kind.value for kind in ProviderKind]), help="Whose API it speaks."
)
@click.option("--base-url", required=True, help="Where it is, for example https://api.openai.com/v1.")
@_key_option
@click.option("--display-name", default="", help="What people see.")
@click.option("--enabled/--disabled", default=True, show_default=True, help="Whether calls go there.")
@click.option("--internal", is_flag=True, help="It may be at a private address, and without TLS.")
@output_option
@asks
def create(  # noqa: PLR0913 -- one argument per flag
    client: "Client",
    *,
    name: str,
    kind: str,
    base_url: str,
    key_file: IO[str] | None,
    display_name: str,
    enabled: bool,
    internal: bool,
    output: str,
) -> None:
    """Make a provider. Without a key, callers bring their own."""
    request = CreateProviderRequest(
        name=name,
        kind=ProviderKind(kind),
        base_url=base_url,
        key=None if key_file is None else first_line(key_file, "--key-file"),
        display_name=display_name,
        enabled=enabled,
        internal=internal,
    )
    show_one(client.create_provider(request), output)


@command.command("show")
@click.argument("provider", help="Id or name.")
@output_option
@asks
def show(client: "Client", *, provider: str, output: str) -> None:
    """Show a provider, and of its key the last four characters."""
    show_one(client.provider(provider), output)


@command.command("edit")
@click.argument("provider", help="Id or name.")
@click.option("--base-url", help="Where it is.")
@_key_option
@click.option("--no-key", is_flag=True, help="Take the key away: callers bring their own.")
@click.option("--display-name", help="What people see.")
@click.option("--enabled/--disabled", default=None, help="Whether calls go there.")
@click.option("--internal/--external", default=None, help="Whether it may be at a private address, and without TLS.")
@output_option
@asks
def edit(  # noqa: PLR0913 -- one argument per flag
    client: "Client",
    *,
    provider: str,
    base_url: str | None,
    key_file: IO[str] | None,
    no_key: bool,
    display_name: str | None,
    enabled: bool | None,
    internal: bool | None,
    output: str,
) -> None:
    """Change a provider; what is left out stays."""
    if no_key and key_file is not None:
        raise click.UsageError("--no-key takes the key away that --key-file brings: give one")
    key = msgspec.UNSET if key_file is None else first_line(key_file, "--key-file")
    request = UpdateProviderRequest(
        base_url=msgspec.UNSET if base_url is None else base_url,
        key=None if no_key else key,
        display_name=msgspec.UNSET if display_name is None else display_name,
        enabled=msgspec.UNSET if enabled is None else enabled,
        internal=msgspec.UNSET if internal is None else internal,
    )
    show_one(client.update_provider(provider, request), output)


@command.command("delete")
@click.argument("provider", help="Id or name.")
@yes_option
@asks
def delete(client: "Client", *, provider: str, yes: bool) -> None:
    """Delete a provider and its key. Its routes are gone."""
    found = client.provider(provider)
    consent(f"Delete the provider {found.name!r} at {found.base_url}, and its key?", yes=yes)
    client.delete_provider(found.id)
    click.echo(f"{found.name} is deleted.")
