"""Amounts of what a limit counts, as people write and read them: money in dollars, everything else in whole numbers."""

import re
from decimal import Decimal

import click

from aibridge.contract.aibridge import LimitView
from aibridge.domain.rule import Unit
from aibridge.limits.explain import NANO_DOLLARS

_WHOLE = re.compile(r"[0-9][0-9_]{0,15}")
_DOLLARS = re.compile(r"\$?([0-9][0-9_]{0,8}(?:\.[0-9]{1,9})?)")


def amount_of(text: str, unit: Unit, flag: str) -> int:
    """An amount of that unit, in the unit in which the API has it.

    Raises:
        click.UsageError: it is none.
    """
    if unit is Unit.COST:
        dollars = _DOLLARS.fullmatch(text)
        if dollars:
            return int(Decimal(dollars[1]) * NANO_DOLLARS)
    elif _WHOLE.fullmatch(text):
        return int(text)
    allowed = "dollars such as 12.50" if unit is Unit.COST else "a whole number"
    raise click.UsageError(f"{flag}: {text!r} is not allowed; allowed for {unit}: {allowed}")


def told(limit: LimitView, amount: float | None = None) -> str:
    """What a limit allows, or the amount of it, for people."""
    quantity = limit.amount if amount is None else amount
    if limit.unit is Unit.COST:
        text = f"${quantity / NANO_DOLLARS:.2f}"
    else:
        text = f"{quantity:.0f} {limit.unit.replace('_', ' ')}"
    return text if amount is not None or limit.unit is Unit.CONCURRENT else f"{text} in {limit.window:g} s"
