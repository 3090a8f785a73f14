"""Durations and instants as arguments of commands."""

from datetime import UTC, datetime, timedelta

import click

from aibridge.options_kinds import DURATION, duration


class Duration(click.ParamType[float]):
    """A duration between two others, in seconds."""

    name = "duration"

    def __init__(self, least: str, most: str) -> None:
        self.least = least
        self.most = most

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read what was given."""
        try:
            seconds = duration(value)
        except ValueError:
            seconds = -1.0
        if not duration(self.least) <= seconds <= duration(self.most):
            allowed = f"{DURATION.allowed}, at least {self.least} and at most {self.most}"
            self.fail(f"{value!r} is not allowed; allowed: {allowed}", param, ctx)
        return seconds


class Instant(click.ParamType[datetime]):
    """An instant, a day (its beginning in UTC), or a time ago."""

    name = "instant"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read what was given."""
        try:
            return datetime.now(UTC) - timedelta(seconds=duration(value))
        except ValueError:
            pass
        except OverflowError:  # longer ago than there are dates
            return datetime.min.replace(tzinfo=UTC)
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is not allowed; allowed: an instant such as 2026-11-24T09:00:00Z, a day such as "
                "2026-11-24, or a time ago such as 7d",
                param,
                ctx,
            )
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
