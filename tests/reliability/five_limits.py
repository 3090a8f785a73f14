"""Five limits whose decisions are measured, wherever they are made: one of each algorithm, and of each subject."""

from aibridge.domain.rule import Rule, Subject, Unit
from aibridge.limits.counts import Ask

RULES = (
    Rule(name="calls", unit=Unit.REQUESTS, amount=10**6, window=60.0, subject=Subject.TOKEN),
    Rule(name="pace", unit=Unit.REQUESTS, amount=10**6, window=60.0, burst=10**6, subject=Subject.USER),
    Rule(name="tokens", unit=Unit.TOTAL_TOKENS, amount=10**12, window=60.0, subject=Subject.USER),
    Rule(name="cost", unit=Unit.COST, amount=10**12, window=86_400.0, subject=Subject.ORGANIZATION),
    Rule(name="slots", unit=Unit.CONCURRENT, amount=10**4),
)
TRUE_COSTS = (1.0, 1.0, 500.0, 1000.0, 1.0)
TOKENS, USERS = 1000, 100


def asks_of(number: int) -> tuple[Ask, ...]:
    """What a call asks for; a thousand calls have tokens of their own."""
    user = f"user-{number % USERS}"
    return Ask(0, f"token-{number % TOKENS}"), Ask(1, user), Ask(2, user, 700.0), Ask(3, "org", 2000.0), Ask(4, "")
