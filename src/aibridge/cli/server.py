"""`aibridge server`: decide the options and serve."""

import os

import click

from aibridge import options
from aibridge.cli.flags import GroupedCommand, given, takes


@click.command("server", cls=GroupedCommand)
@takes(options.OPTIONS)
@click.pass_context
def command(ctx: click.Context, /, **flags: str | None) -> None:
    """Serve the gateway.

    Every option is a flag, an environment variable and a key of a YAML file; the first of these that is given counts.
    The flag --aibridge-rate-limit is aibridge.rate_limit in the file. All that starts with --aibridge- or
    CODER_AIBRIDGE_ may also start with --ai-gateway- or CODER_AI_GATEWAY_. A secret is better kept in a file; name it
    with the flag that ends in -file or the variable that ends in _FILE.
    """
    try:
        settings = options.load(given(flags), os.environ)
    except options.OptionError as error:
        raise click.UsageError(str(error)) from None
    for warning in options.warnings_about(os.environ):
        click.echo(f"aibridge: {warning}", err=True)
    from aibridge.server import run  # noqa: PLC0415 -- help and a wrong option need none of what it imports

    ctx.exit(run(settings))
