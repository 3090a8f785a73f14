"""THE LIST: what happens to a call, in order, each step with its reason. Nothing else decides the order."""

from collections.abc import Sequence
from typing import NamedTuple

from aibridge.domain.errors import CallError
from aibridge.gateway.call import Call, Check, Handler, Layer


class Way(NamedTuple):
    """What a call of one kind goes through: looks at the door, then layers around the relay.

    The door decides at once and takes nothing, so that a refusal there costs neither a coroutine nor the body. What is
    held is held by layers, each of which gives back what it took in its own `finally`.
    """

    door: tuple[Check, ...]
    handle: Handler

    def enter(self, call: Call) -> CallError | None:
        """Pass the door, or be refused there."""
        for check in self.door:
            refusal = check(call)
            if refusal is not None:
                return refusal
        return None


class Pipelines(NamedTuple):
    """What can happen to a call. Which of the first two it is changes with the limits."""

    interception: Way
    """Limited and recorded."""
    weighed: Way
    """The same where a limit needs the body to decide: decided behind it, and not before."""
    pass_through: Way
    """For any known caller; neither recorded nor, unless asked for, limited."""


def compose(layers: Sequence[Layer], innermost: Handler) -> Handler:
    """Wrap a handler in layers; the first of them meets the call first."""
    handler = innermost
    for layer in reversed(layers):
        handler = layer(handler)
    return handler


def pipelines(  # noqa: PLR0913 (a list has as many entries as it has)
    *,
    drain: Check,
    capacity: Check,
    identify: Check,
    pace: Check,
    admit: Layer,
    body: Layer,
    content: Layer,
    record: Layer,
    retry: Layer | None,
    guard: Layer | None,
    relay: Handler,
    limit_pass_through: bool = False,
) -> Pipelines:
    """The way of each kind of call. `retry` and `guard` are None when they are off."""
    door = (
        drain,  # a gateway that is about to stop takes nothing new
        capacity,  # the cheapest refusal first, before anything is looked at
        identify,  # who calls: without that no limit can be fair
        pace,  # whom we refused before, and would refuse again
    )
    recorded = (
        record,  # from here on, every ending is written down
        retry,  # once more, while nothing was sent to the client and the budget allows
        guard,  # is the provider in a state to be asked?
    )
    pass_through = (
        admit if limit_pass_through else None,  # free of limits, not of identification
        content,
    )
    behind = compose([layer for layer in recorded if layer is not None], relay)
    return Pipelines(
        # All limits of a call are decided at once; before its body is waited for, unless one of them weighs it.
        interception=Way(door, compose((admit, body), behind)),
        weighed=Way(door, compose((body, admit), behind)),
        pass_through=Way(
            door if limit_pass_through else (drain, identify),
            compose([layer for layer in pass_through if layer is not None], relay),
        ),
    )
