"""What the demo provider wants to know of a request: one lenient reading for all three protocols.

The vendors' messages differ in names, not in kind: somebody's text, an assistant's call of a tool, a tool's result.
Whatever else a body holds is ignored, so that no client is refused for a field this server has never heard of.
"""

from collections.abc import Sequence

import msgspec

BYTES_PER_TOKEN = 4
"""The usual rule of thumb for English text and code. Exact tokenizers differ by model and would add nothing here."""


class Item(msgspec.Struct, frozen=True):
    """A message, an item of a Responses input, or a part of either: only the fields that are looked at."""

    type: str = ""
    role: str = ""
    text: str | None = None
    content: "Content" = None
    output: "Content" = None


Content = str | list[Item] | Item | None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request in words that all three protocols share.

    `turn` is what the user said since the assistant last spoke, `after_tool` whether a tool has answered since.
    `tools` is the JSON of the tools on offer, empty when there are none.
    """

    model: str
    stream: bool
    include_usage: bool = False
    prompt_tokens: int
    turn: str
    after_tool: bool
    tools: bytes


def ask_of(  # noqa: PLR0913 - the fields of three protocols' bodies, all by name
    *,
    model: str,
    messages: Sequence[Item],
    instructions: Content = None,
    tools: msgspec.Raw,
    stream: bool | None,
    include_usage: bool | None = False,
) -> Ask:
    """Follow a conversation to its end.

    A tool's result ends what the user said before it: agents add reminders of their own beside a result, and those
    must not look like a new request.
    """
    offered = bytes(tools)
    texts: list[str] = []
    _collect(instructions, texts)
    turn: list[str] = []
    after_tool = False
    for message in messages:
        if message.role == "assistant" or message.type.endswith("_call"):
            turn, after_tool = [], False
        parts = message.content if isinstance(message.content, list) and message.content else (message,)
        for part in parts:
            known = len(texts)
            _collect(part, texts)
            if message.role == "tool" or part.type == "tool_result" or part.type.endswith("_call_output"):
                turn, after_tool = [], True
            elif message.role == "user":
                turn += texts[known:]
    size = len("".join(texts).encode()) + len(offered)
    return Ask(
        model=model,
        stream=bool(stream),
        include_usage=bool(include_usage),
        prompt_tokens=-(-size // BYTES_PER_TOKEN),
        turn="\n".join(turn),
        after_tool=after_tool,
        tools=offered,
    )


def _collect(content: Content, texts: list[str]) -> None:
    """Add every text in some content, in order."""
    if isinstance(content, str):
        texts.append(content)
    elif isinstance(content, Item):
        if content.text:
            texts.append(content.text)
        _collect(content.content, texts)
        _collect(content.output, texts)
    elif content is not None:
        for item in content:
            _collect(item, texts)
