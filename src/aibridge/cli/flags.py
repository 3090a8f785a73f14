"""Flags of the command line made from the table of options, and the help that shows them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from aibridge.options_kinds import FILE, TRUTH, Option
from aibridge.options_sources import FILE_FLAG, FILE_VARIABLE, flag_names

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Flag(click.Option):
    """One flag of an option. Click only collects its text; what it means is for `options` to say."""

    def __init__(self, names: Sequence[str], *, option: Option) -> None:
        # `--aibridge-enabled` alone means true, and a value may follow it.
        alone: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if option.kind is TRUTH else {}
        super().__init__(names, type=str, hidden=not names[0].startswith(option.flag), **alone)
        self.option = option

    def get_help_record(self, ctx: click.Context) -> None:
        """Nothing for click's own list: `GroupedCommand` shows options, not flags."""


def takes(options: Sequence[Option]) -> Callable[[_Command], _Command]:
    """Give a command all flags of these options, aliases included. Its function receives them as keyword arguments."""

    def decorate(function: _Command) -> _Command:
        for option in reversed(options):
            for name, _ in reversed(flag_names(option)):
                function = click.option(name, cls=_Flag, option=option)(function)
        return function

    return decorate


def given(arguments: Mapping[str, str | None]) -> dict[str, str]:
    """The flags that were given, as `options` wants them, from the keyword arguments of the function."""
    return {f"--{name.replace('_', '-')}": text for name, text in arguments.items() if text is not None}


class GroupedCommand(click.Command):
    """A command whose help shows options in their groups, each with its environment variable and default."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what is no option of the table as click does, then the table."""
        super().format_options(ctx, formatter)
        groups: dict[str, list[Option]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, _Flag) and parameter.opts[0] == parameter.option.flag:
                groups.setdefault(parameter.option.group, []).append(parameter.option)
        for group, options in groups.items():
            with formatter.section(group):
                for option in options:
                    _write(option, formatter)


def _write(option: Option, formatter: click.HelpFormatter) -> None:
    formatter.write_text(_heading(option))
    with formatter.indentation(), formatter.indentation():
        formatter.write_text(option.help)
        formatter.write_text(f"[{_elsewhere(option)}; default: {option.default or option.unset}]")


def _heading(option: Option) -> str:
    if option.kind is TRUTH:
        return f"{option.flag}[={option.kind.metavar}]"
    heading = f"{option.flag} {option.kind.metavar}"
    return f"{heading}, {option.flag}{FILE_FLAG} {FILE.metavar}" if option.secret else heading


def _elsewhere(option: Option) -> str:
    names = [option.environment[0]]
    if option.secret:
        names.append(f"{option.environment[0]}{FILE_VARIABLE}")
    if option.fallback:
        names.append(option.fallback)
    return ", ".join(names)
