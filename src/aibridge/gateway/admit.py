"""Limits, as the data plane meets them: two looks at the door, and the one decision that a call then holds.

The second of them looks at the body, too, if that is here, and only at calls of those who were refused before.
"""

from typing import Final

from aibridge.domain.errors import CallError, Refused
from aibridge.domain.priority import is_batch
from aibridge.domain.usage import Usage
from aibridge.gateway.body import peek
from aibridge.gateway.call import Call, Check, Handler, Layer
from aibridge.gateway.reply import Reply
from aibridge.limits.engine import Caller, Limits, Size
from aibridge.overload.outcome import Outcome
from aibridge.wire.dialect import View

PRIORITY: Final = b"x-ai-bridge-priority"
"""The header in which a trusted token says how much a call matters."""

_NOTHING: Final = Usage()
_FAILURE: Final = Outcome.FAILURE
_IGNORED: Final = Outcome.IGNORED
_SUCCESS: Final = Outcome.SUCCESS
_PASSES: Final = 503
"""The status of refusals that are nobody's doing: a call that ends in one, and was not sent, counts for nothing."""


def capacity(limits: Limits) -> Check:
    """Refuse what cannot be served whoever calls: the cheapest refusal, before anything is looked at."""
    return lambda _: limits.check_capacity()


def pace(limits: Limits) -> Check:
    """Refuse, without asking anybody, a call of which it is known already. Takes nothing.

    That is so of the calls of those who were refused before, and are too early, or still too many, or ask too much.
    """

    def check(call: Call) -> Refused | None:
        head, actor = call.head, call.actor
        if actor is None:
            raise RuntimeError("a caller is paced who is not identified")
        caller = head.caller
        if caller is None or caller.actor is not actor:
            caller = head.caller = Caller(
                actor=actor,
                address=head.address,
                provider=head.route.provider.name,
                batch=is_batch(actor.priority, head.fields.get(PRIORITY)),
                passes_through=not head.route.recorded,
            )
        call.caller = caller
        now = call.started
        refusal = limits.check(caller, now)
        if refusal is None and caller.told is not None:
            if call.body.complete and limits.wants_size(caller):
                call.size = _size(call, peek(call, call.body.content()))
            return limits.check_again(caller, call.size, now)
        return refusal

    return check


def admit(limits: Limits) -> Layer:
    """Decide all limits of a call at once, all or none; hold what was taken, and settle it however the call ends.

    Stands before the body where no rule needs to see it, else right behind it. What a call used is what the ledger
    says (`call.usage`), so that counters and ledger cannot come apart.
    """

    def layer(handle: Handler) -> Handler:
        async def admitted(call: Call, reply: Reply) -> None:
            if call.caller is None:
                raise RuntimeError("a caller is admitted who was not paced")
            call.size = None if call.view is None else _size(call, call.view)
            admission = await limits.admit(call.caller, call.size)
            outcome, counted = _IGNORED, True
            try:
                await handle(call, reply)
                outcome = _SUCCESS
            except Refused as refusal:
                counted = call.asked or refusal.status != _PASSES
                raise
            except CallError:
                outcome = _FAILURE
                raise
            finally:
                limits.close(admission, call.usage or _NOTHING, outcome, counted=counted)

        return admitted

    return layer


def _size(call: Call, view: View) -> Size:
    """What a call may use at most, as far as its body tells."""
    return Size(model=view.model, body_bytes=len(call.content), max_output_tokens=view.max_output_tokens)
