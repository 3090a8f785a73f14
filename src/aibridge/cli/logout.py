"""`aibridge logout`: end the session that `aibridge login` keeps."""

import click

from aibridge.cli import session
from aibridge.cli.asking import answered


@click.command("logout")
def command() -> None:
    """Sign out, and forget the session.

    A session that `aibridge login` began ends. A token that was given to it stays in force; `aibridge tokens revoke`
    ends one.
    """
    kept = session.read()
    if kept is None:
        click.echo("Nobody is signed in.")
        return
    session.forget()
    if kept.is_own:
        try:
            with answered(kept) as client:
                client.logout()
        except click.ClickException as error:
            raise click.ClickException(
                f"the session is forgotten here, but may still be in force: {error.format_message()}"
            ) from None
    click.echo(f"You are signed out at {kept.url}.")
