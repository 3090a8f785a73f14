"""The third layer: no faster than the rate, for each token."""

from aibridge.domain.errors import RateLimited
from aibridge.gateway.call import Call, Clock, Handler, Layer, Reply
from aibridge.overload.keyed import Keyed
from aibridge.overload.rate import RateLimiter


def pace(limiters: Keyed[str, RateLimiter], clock: Clock) -> Layer:
    """Admit a call when its token's limiter does. Stands behind `identify`: only tokens of ours have a limiter."""

    def layer(handle: Handler) -> Handler:
        async def paced(call: Call, reply: Reply) -> None:
            if call.actor is not None:
                now = clock()
                rejection = limiters.get(call.actor.token_id, now).take(now)
                if rejection is not None:
                    raise RateLimited.caller(
                        f"This token may make {rejection.allowed:g} AI requests in {rejection.window:g} s "
                        f"(--aibridge-rate-limit); the next one is admitted in {rejection.retry_after:.3f} s.",
                        rejection,
                    )
            await handle(call, reply)

        return paced

    return layer
