"""Once more, while the client knows of nothing yet: within a budget, and never against the provider's word."""

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable

from aibridge.domain.errors import Refused, UpstreamUnreachable
from aibridge.gateway.call import Call, Clock, Handler, Layer
from aibridge.gateway.reply import Reply
from aibridge.gateway.withheld import Withheld
from aibridge.overload.retry_budget import RetryBudget

FIRST_PAUSE = 0.1
"""Seconds before the first further attempt; each next pause is twice as long."""
LONGEST_PAUSE = 2.0
"""Seconds. A provider that asks for more is left alone: its client is told, and waits elsewhere than here."""


class Retries:
    """One budget for each provider, and how often it was drawn on. `budget` makes a new one."""

    def __init__(self, providers: Iterable[str], budget: Callable[[], RetryBudget]) -> None:
        self._budget = budget
        self._budgets: dict[str, RetryBudget] = {}
        self.made: dict[str, int] = {}
        """By provider. Those that were removed stay: a counter never goes back."""
        self.keep(providers)

    def keep(self, providers: Iterable[str], anew: Container[str] = ()) -> None:
        """Have a budget for each of these and no other. Those in `anew` are others than before by the same name."""
        old = self._budgets
        self._budgets = {name: old[name] if name in old and name not in anew else self._budget() for name in providers}
        for name in self._budgets:
            self.made.setdefault(name, 0)

    def of(self, provider: str) -> RetryBudget:
        """A provider's budget; a new one, where the provider was removed while its call waited."""
        return self._budgets.get(provider) or self._budget()


def retry(
    retries: Retries,
    *,
    most: int,
    clock: Clock,
    luck: Callable[[], float],
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Layer:
    """Send a call again, `most` times, that no provider has taken: it could not be reached, or answered 502, 503, 529.

    Only what the client knows nothing of is tried again: until the last attempt such an answer is withheld, and goes to
    the client, byte for byte, when there is no other. A provider's 429 is not tried again; its hint is the client's.
    The budget keeps all clients together from adding more than a share to the load of a provider that is in trouble
    (Google, "Site Reliability Engineering", chapter 21). `luck` is uniform in [0, 1).
    """

    def layer(handle: Handler) -> Handler:
        async def retried(call: Call, reply: Reply) -> None:
            provider = call.head.route.provider.name
            budget = retries.of(provider)
            budget.deposit(clock())
            last: Withheld | None = None
            for attempt in range(most + 1):
                call.withholds = attempt < most
                try:
                    await handle(call, reply)
                except Refused:  # by ourselves, meanwhile: there will be no better answer than the one there was
                    if last is None:
                        raise
                    _pass_on(last, reply)
                    return
                except (UpstreamUnreachable, Withheld) as failure:
                    last = failure if isinstance(failure, Withheld) else last
                    pause = _pause(failure, attempt, luck())
                    if attempt == most or pause is None or not budget.withdraw(clock()):
                        _pass_on(failure, reply)
                        return
                    retries.made[provider] += 1
                    await sleep(pause)
                else:
                    return

        return retried

    return layer


def _pause(failure: UpstreamUnreachable | Withheld, attempt: int, luck: float) -> float | None:
    """Seconds until the next attempt, no less than the provider asked for; None where that is longer than we wait."""
    pause = FIRST_PAUSE * 2**attempt
    if isinstance(failure, Withheld) and failure.retry_after_header is not None:
        try:
            pause = max(pause, float(failure.retry_after_header))
        except ValueError:  # a date: nobody sends one for a moment
            return None
    pause *= 1.0 + luck / 2
    return pause if pause <= LONGEST_PAUSE else None


def _pass_on(failure: UpstreamUnreachable | Withheld, reply: Reply) -> None:
    """There is no other attempt: the client gets the answer there is."""
    if not isinstance(failure, Withheld):
        raise failure
    failure.begin()
    reply.hold(failure.body)
