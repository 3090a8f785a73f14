"""The circuit breakers: how each stands, and closing one by hand."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from aibridge.contract.aibridge import BreakersView, BreakerView
from aibridge.control.ask import Ask, AsyncHandler
from aibridge.control.dependencies import BreakerPresent, Breakers
from aibridge.control.errors import NotFound
from aibridge.domain.permission import Resource

_Ask = Ask[Any, Any]


async def _list(ask: _Ask) -> BreakersView:
    """Whether a provider is down is no secret: everybody who is known may ask."""
    present = [] if ask.world.breakers is None else ask.world.breakers.present()
    results = [_view(breaker) for breaker in sorted(present, key=lambda breaker: breaker.name)]
    return BreakersView(count=len(results), results=results)


async def _reset(ask: _Ask) -> None:
    breakers: Breakers | None = ask.world.breakers
    # A name may hold a slash, as models' names do: it comes decoded.
    name = ask.things.named["breaker"]
    if breakers is None or name not in {breaker.name for breaker in breakers.present()}:
        raise NotFound

    def record(connection: Connection) -> None:
        ask.record(connection, "reset_breaker", Resource.PROVIDER, id=name, name=name)

    await ask.writing(record)
    try:
        breakers.reset(name)
    except LookupError:  # it went away in between
        raise NotFound from None


def _view(breaker: BreakerPresent) -> BreakerView:
    return BreakerView(
        name=breaker.name,
        provider=breaker.provider,
        credential=breaker.credential,
        model=breaker.model,
        state=breaker.state.value,
        seconds_left=breaker.seconds_left,
        calls=breaker.calls,
        failures=breaker.failures,
        slow=breaker.slow,
        trips=breaker.trips,
        rejections=breaker.rejections,
    )


HANDLERS: Mapping[str, AsyncHandler] = {"breakers": _list, "reset_breaker": _reset}
