"""What a rehearsal of limits came to, as text."""

from aibridge.cli.output import Row, table
from aibridge.domain.rule import Rule, Unit
from aibridge.limits.explain import NANO_DOLLARS
from aibridge.limits.replay_report import ActorSums, RuleSums, Summary, Totals

_RULE_COLUMNS = ("rule", "mode", "subject", "allowed", "peak_use", "by", "refusals", "would_refuse")
_ACTOR_COLUMNS = (
    "actor",
    "calls",
    "admitted",
    "refused",
    "refusals",
    "would_refuse",
    "queued",
    "longest_wait",
    "first_refused",
    "last_refused",
    "mostly_by",
)


def text(summary: Summary, top: int) -> str:
    """All of it as tables, with the `top` actors who were refused most."""
    totals = summary.totals
    period = f"{summary.first:%Y-%m-%d %H:%M:%SZ} to {summary.last:%Y-%m-%d %H:%M:%SZ}"
    parts = [
        f"{totals.calls} calls of {len(summary.actors)} actors, {period}",
        "\n".join(_told(totals)),
        table(_upstream(totals), ("upstream", "recorded", "simulated")),
        table([_rule(sums) for sums in summary.rules], _RULE_COLUMNS),
        table([_actor(sums) for sums in summary.actors[:top]], _ACTOR_COLUMNS),
    ]
    if len(summary.actors) > top:
        parts.append(f"{len(summary.actors) - top} more actors")
    return "\n\n".join(parts)


def quantity(rule: Rule, amount: float) -> str:
    """An amount of what a rule counts, for people."""
    return f"${amount / NANO_DOLLARS:.2f}" if rule.unit is Unit.COST else f"{amount:.0f}"


def allowed(rule: Rule) -> str:
    """What a rule allows, for people."""
    unit = "" if rule.unit is Unit.COST else f" {rule.unit.replace('_', ' ')}"
    return f"{quantity(rule, rule.amount)}{unit}" + ("" if rule.held else f" in {rule.window:g} s")


def _told(totals: Totals) -> list[str]:
    lines = [
        f"admitted  {totals.admitted}",
        f"refused   {totals.refused} ({totals.refused / totals.calls:.1%}), after {totals.refusals} refusals",
        f"queued    {totals.queued}",
    ]
    if totals.wait_p50 is not None:
        lines[-1] += f"; those admitted waited {totals.wait_p50:.2f} s (p50), {totals.wait_p99:.2f} s (p99)"
    return lines


def _upstream(totals: Totals) -> list[Row]:
    rows = (
        ("calls", totals.calls, totals.admitted),
        ("most calls in a minute", totals.calls_per_minute_before, totals.calls_per_minute_after),
        ("most at one time", totals.concurrency_before, totals.concurrency_after),
        ("most tokens in a minute", totals.tokens_per_minute_before, totals.tokens_per_minute_after),
    )
    return [dict(zip(("upstream", "recorded", "simulated"), row, strict=True)) for row in rows]


def _rule(sums: RuleSums) -> Row:
    rule = sums.rule
    return {
        "rule": rule.name,
        "mode": rule.mode.value,
        "subject": rule.subject.value,
        "allowed": allowed(rule),
        "peak_use": quantity(rule, sums.peak),
        "by": sums.peak_key or None,
        "refusals": sums.refusals,
        "would_refuse": sums.shadow_refusals,
    }


def _actor(sums: ActorSums) -> Row:
    by = sums.refusals_by_rule
    return {
        "actor": sums.actor,
        "calls": sums.calls,
        "admitted": sums.admitted,
        "refused": sums.refused,
        "refusals": sums.refusals,
        "would_refuse": sums.shadow_refusals,
        "queued": sums.queued,
        "longest_wait": f"{sums.longest_wait:.2f} s" if sums.queued else None,
        "first_refused": sums.first_refused,
        "last_refused": sums.last_refused,
        "mostly_by": max(by, key=lambda name: by[name]) if by else None,
    }
