"""What the demo provider answers, before any protocol gives it a form."""

from collections.abc import Callable, Iterable
from itertools import chain, cycle, islice

import msgspec

from aibridge.demo.behaviour import Behaviour
from aibridge.demo.conversation import Ask
from aibridge.demo.tools import tool_asked

_GREETING = "This is the AI Bridge demo provider: real protocols and usage, faults on request, no model."
_AFTER_TOOL = "The tool has answered, and the demo provider has nothing to add."
_ARGUMENT_PIECE = 8
"""Characters of a tool's arguments that count as one token, and stream as one event."""


def _pieces(sentence: str) -> tuple[str, ...]:
    """A sentence as tokens: its words, each but the first with the space before it."""
    first, *rest = sentence.split(" ")
    return (first, *(f" {word}" for word in rest))


_SENTENCE = _pieces(_GREETING)
_CLOSING = _pieces(_AFTER_TOOL)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: a text, or the arguments of a tool's call, in pieces of one token each.

    `number` tells answers apart: ids are made from it. `created` is in UTC seconds. `cached_tokens` come on top of
    `prompt_tokens`, as if a long prefix had been read from the vendor's cache.
    """

    number: int
    created: int
    model: str
    pieces: tuple[str, ...]
    tool: str | None = None
    prompt_tokens: int
    cached_tokens: int
    include_usage: bool = False

    @property
    def text(self) -> str:
        """The whole text, or the whole arguments."""
        return "".join(self.pieces)

    @property
    def output_tokens(self) -> int:
        """One for every piece."""
        return len(self.pieces)


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A streamed answer as events, each whole and encoded: what opens it, one for every token, what closes it.

    `failure` gives the events that end a stream in error after so many tokens.
    """

    opening: tuple[bytes, ...]
    deltas: Iterable[bytes]
    closing: tuple[bytes, ...]
    failure: Callable[[int], tuple[bytes, ...]]


def answer_to(ask: Ask, behaviour: Behaviour, number: int, created: int) -> Answer:
    """Decide what to answer.

    Raises:
        BehaviourError, msgspec.ValidationError: see `tool_asked`.
    """
    call = tool_asked(ask, behaviour.tool)
    if call is not None:
        starts = range(0, len(call.arguments), _ARGUMENT_PIECE)
        pieces = tuple(call.arguments[start : start + _ARGUMENT_PIECE] for start in starts)
    else:
        pieces = _CLOSING if ask.after_tool else _SENTENCE
        if behaviour.tokens:
            again = cycle((f" {pieces[0]}", *pieces[1:]))
            pieces = tuple(islice(chain(pieces, again), behaviour.tokens))
    return Answer(
        number=number,
        created=created,
        model=ask.model,
        pieces=pieces,
        tool=call.name if call else None,
        prompt_tokens=ask.prompt_tokens,
        cached_tokens=behaviour.cached,
        include_usage=ask.include_usage,
    )
