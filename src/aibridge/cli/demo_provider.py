"""`aibridge demo-provider`: a provider without a model, that fails on request."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from aibridge import demo
from aibridge.demo.behaviour import override

_Command = TypeVar("_Command", bound=Callable[..., Any])

_METAVARS = {float: "NUMBER", int: "INT", bool: "BOOL", str: "TEXT"}


def _behaves(function: _Command) -> _Command:
    """Give a command a flag for each key of the demo provider's behaviour."""
    for key in reversed(demo.describe()):
        alone: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if key.type is bool else {}
        flag = f"--{key.name.replace('_', '-')}"
        default = str(key.default).lower() if key.default != "" else "none"
        function = click.option(
            flag,
            key.name,
            type=str,
            metavar=_METAVARS[key.type],
            help=f"{key.meaning} ({key.allowed}). [default: {default}]",
            **alone,
        )(function)
    return function


@click.command("demo-provider")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=4010, show_default=True, help="0 lets the system choose."
)
@_behaves
def command(host: str, port: int, **keys: str | None) -> None:
    """Speak like OpenAI and Anthropic, and fail on request.

    Made to try limits, retries and deadlines with. The flags below say how every call is answered. A request can ask
    otherwise: with headers (x-demo-latency: 0.2) or in the model's name (demo?latency=0.2).
    """
    pairs = [(name, text) for name, text in keys.items() if text is not None]
    try:
        behaviour = override(demo.Behaviour(), pairs)
    except demo.BehaviourError as error:
        raise click.UsageError(str(error)) from None
    try:
        demo.run(host, port, behaviour, announce=_announce)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}") from None


def _announce(server: demo.DemoServer) -> None:
    click.echo(f"The demo provider listens on {server.url}")
    click.echo(
        f"  for a gateway: --aibridge-openai-base-url {server.url}/v1 --aibridge-anthropic-base-url {server.url}"
    )
