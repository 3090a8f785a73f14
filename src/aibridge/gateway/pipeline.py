"""THE LIST: what happens to a call, in order, each step with its reason. Nothing else decides the order."""

from collections.abc import Sequence
from typing import NamedTuple

from aibridge.gateway.call import Handler, Layer


class Pipelines(NamedTuple):
    """The two things that can happen to a call."""

    interception: Handler
    """Limited and recorded."""
    pass_through: Handler
    """For any known caller; neither recorded nor, unless asked for, limited."""


def compose(layers: Sequence[Layer], innermost: Handler) -> Handler:
    """Wrap a handler in layers; the first of them meets the call first."""
    handler = innermost
    for layer in reversed(layers):
        handler = layer(handler)
    return handler


def unguarded(handle: Handler) -> Handler:
    """The guard of a gateway without breakers: nothing stands in the way."""
    return handle


def pipelines(  # noqa: PLR0913 (a list of layers has as many entries as it has)
    *,
    drain: Layer,
    capacity: Layer | None,
    identify: Layer,
    pace: Layer | None,
    body: Layer,
    content: Layer,
    record: Layer,
    guard: Layer = unguarded,
    relay: Handler,
    limit_pass_through: bool = False,
) -> Pipelines:
    """The handler of each kind of route. `capacity` and `pace` are None when their limit is off."""
    interception = (
        drain,  # a gateway that is about to stop takes nothing new
        capacity,  # the cheapest refusal first: one comparison, before anything is looked at
        identify,  # who calls: without that no limit can be fair
        pace,  # this caller's rate: a refusal here has cost no body and no record
        body,  # only now is the body waited for and peeked at
        record,  # from here on, every ending is written down
        guard,  # is the provider in a state to be asked?
    )
    pass_through = (
        drain,
        capacity if limit_pass_through else None,
        identify,  # pass-through is free of limits, not of identification
        pace if limit_pass_through else None,
        content,
    )
    return Pipelines(
        interception=compose([layer for layer in interception if layer is not None], relay),
        pass_through=compose([layer for layer in pass_through if layer is not None], relay),
    )
