"""`aibridge completion`: what a shell needs to complete our commands."""

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")
_EXAMPLES = """\b
To have it in every new shell:
  aibridge completion bash > ~/.local/share/bash-completion/completions/aibridge
  aibridge completion zsh > "${fpath[1]}/_aibridge"
  aibridge completion fish > ~/.config/fish/completions/aibridge.fish
"""


@click.command("completion", epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands, options and their values."""
    program = ctx.find_root()
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 -- click has one for each of these
    click.echo(found(program.command, {}, "aibridge", "_AIBRIDGE_COMPLETE").source())
