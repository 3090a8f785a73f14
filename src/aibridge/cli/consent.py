"""What cannot be taken back is asked for first."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

yes_option: Callable[[_Command], _Command] = click.option("--yes", is_flag=True, help="Do not ask.")


def consent(question: str, *, yes: bool) -> None:
    """Go on only if somebody agrees, or has agreed beforehand.

    Raises:
        click.Abort: they did not.
    """
    if not yes:
        click.confirm(question, abort=True, err=True)
