"""The first layer: no more calls at one time than the maximum."""

from aibridge.domain.errors import AtCapacity, CallError, Refused
from aibridge.gateway.call import Call, Clock, Handler, Layer, Reply
from aibridge.overload.concurrency import ConcurrencyLimiter
from aibridge.overload.outcome import Outcome, Rejection


def capacity(limiter: ConcurrencyLimiter, clock: Clock) -> Layer:
    """Hold a permit for as long as the call lasts, and give it back however the call ends."""

    def layer(handle: Handler) -> Handler:
        async def limited(call: Call, reply: Reply) -> None:
            permit = limiter.enter(clock())
            if isinstance(permit, Rejection):
                raise AtCapacity.caller(
                    f"{permit.allowed:g} AI requests are in progress, as many as --aibridge-max-concurrency allows.",
                    rejection=permit,
                )
            outcome = Outcome.IGNORED
            try:
                await handle(call, reply)
                outcome = Outcome.SUCCESS
            except Refused:
                raise
            except CallError:
                outcome = Outcome.FAILURE
                raise
            finally:
                limiter.leave(permit, outcome, clock())

        return limited

    return layer
