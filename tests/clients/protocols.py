"""How each of the three protocols is spoken through its vendor's SDK. Imported by `drive`, where the SDKs are."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

Items = list[dict[str, Any]]

WEATHER = "weather"
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


@dataclass
class Outcome:
    """What a client made of an answer, in words that the protocols share. `usage` counts each token once."""

    text: str = ""
    finish: str | None = None
    tool: dict[str, Any] | None = None
    usage: dict[str, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    error: dict[str, Any] | None = None

    def fail(self, error: Exception) -> None:
        """Keep what an exception says: its classes, its status, its words."""
        self.error = {
            "kinds": [f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__],
            "status": getattr(error, "status_code", None),
            "message": str(error),
            "body": repr(getattr(error, "body", None)),
        }


class Protocol:
    """One protocol through one client."""

    vendor: ClassVar[tuple[str, str]]
    """The SDK's module, and what its base URL has after the gateway's."""
    tools: ClassVar[Items]
    streaming: ClassVar[dict[str, Any]] = {"stream": True}

    def __init__(self, client: Any, model: str) -> None:
        self.client = client
        self.model = model

    def create(self, items: Items, **more: Any) -> Any:
        """Call the model with a conversation."""
        raise NotImplementedError

    def stream(self, items: Items, **more: Any) -> Any:
        """The same through the SDK's helper for streams."""
        raise NotImplementedError

    def final(self, events: Any) -> Any:
        """What the helper made of its stream."""
        raise NotImplementedError

    def take(self, outcome: Outcome, answer: Any) -> None:
        """Read an answer."""
        raise NotImplementedError

    def take_event(self, outcome: Outcome, event: Any) -> None:
        """Read an event of a streamed answer."""
        raise NotImplementedError

    def result(self, answer: Any, text: str) -> Items:
        """How the conversation goes on after a tool was asked for and has answered."""
        raise NotImplementedError

    def elsewhere(self) -> Any:
        """Ask for something that is not relayed."""
        raise NotImplementedError


class Chat(Protocol):
    vendor = ("openai", "/openai/v1")
    tools: ClassVar[Items] = [
        {"type": "function", "function": {"name": WEATHER, "strict": True, "parameters": _SCHEMA}},
    ]
    streaming: ClassVar[dict[str, Any]] = {"stream": True, "stream_options": {"include_usage": True}}

    def create(self, items: Items, **more: Any) -> Any:
        return self.client.chat.completions.create(model=self.model, messages=items, **more)

    def stream(self, items: Items, **more: Any) -> Any:
        options = {"include_usage": True}
        return self.client.chat.completions.stream(model=self.model, messages=items, stream_options=options, **more)

    def final(self, events: Any) -> Any:
        return events.get_final_completion()

    def take(self, outcome: Outcome, answer: Any) -> None:
        (choice,) = answer.choices
        outcome.text = choice.message.content or ""
        outcome.finish = choice.finish_reason
        for call in choice.message.tool_calls or ():
            outcome.tool = {"name": call.function.name, "arguments": call.function.arguments}
        self._take_usage(outcome, answer.usage)

    def take_event(self, outcome: Outcome, event: Any) -> None:
        for choice in event.choices:
            outcome.text += choice.delta.content or ""
            outcome.finish = choice.finish_reason or outcome.finish
        if event.usage:
            self._take_usage(outcome, event.usage)

    def result(self, answer: Any, text: str) -> Items:
        message = answer.choices[0].message
        return [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": text}]

    def elsewhere(self) -> Any:
        return self.client.embeddings.create(model=self.model, input="Hello")

    @staticmethod
    def _take_usage(outcome: Outcome, usage: Any) -> None:
        cached = usage.prompt_tokens_details.cached_tokens
        outcome.usage = {
            "input": usage.prompt_tokens - cached,
            "cached": cached,
            "output": usage.completion_tokens,
        }


class Responses(Protocol):
    vendor = ("openai", "/openai/v1")
    tools: ClassVar[Items] = [{"type": "function", "name": WEATHER, "strict": True, "parameters": _SCHEMA}]

    def create(self, items: Items, **more: Any) -> Any:
        return self.client.responses.create(model=self.model, input=items, **more)

    def stream(self, items: Items, **more: Any) -> Any:
        return self.client.responses.stream(model=self.model, input=items, **more)

    def final(self, events: Any) -> Any:
        return events.get_final_response()

    def take(self, outcome: Outcome, answer: Any) -> None:
        outcome.text = answer.output_text
        self._take_end(outcome, answer)
        for item in answer.output:
            if item.type == "function_call":
                outcome.tool = {"name": item.name, "arguments": item.arguments}

    def take_event(self, outcome: Outcome, event: Any) -> None:
        if event.type == "response.output_text.delta":
            outcome.text += event.delta
        elif event.type == "response.completed":
            self._take_end(outcome, event.response)
        elif event.type == "response.failed":  # the one end that the SDK leaves to its caller to notice
            outcome.finish = event.response.status
            outcome.error = {"kinds": [event.type], "status": None, "message": event.response.error.message, "body": ""}

    def result(self, answer: Any, text: str) -> Items:
        (call,) = answer.output
        return [call, {"type": "function_call_output", "call_id": call.call_id, "output": text}]

    def elsewhere(self) -> Any:
        return self.client.files.list()

    @staticmethod
    def _take_end(outcome: Outcome, response: Any) -> None:
        usage = response.usage
        cached = usage.input_tokens_details.cached_tokens
        outcome.finish = response.status
        outcome.usage = {"input": usage.input_tokens - cached, "cached": cached, "output": usage.output_tokens}


class Messages(Protocol):
    vendor = ("anthropic", "/anthropic")
    tools: ClassVar[Items] = [{"name": WEATHER, "input_schema": _SCHEMA}]

    def create(self, items: Items, **more: Any) -> Any:
        return self.client.messages.create(model=self.model, messages=items, max_tokens=100, **more)

    def stream(self, items: Items, **more: Any) -> Any:
        return self.client.messages.stream(model=self.model, messages=items, max_tokens=100, **more)

    def final(self, events: Any) -> Any:
        return events.get_final_message()

    def take(self, outcome: Outcome, answer: Any) -> None:
        outcome.finish = answer.stop_reason
        for block in answer.content:
            if block.type == "text":
                outcome.text += block.text
            elif block.type == "tool_use":
                outcome.tool = {"name": block.name, "arguments": block.input}
        self._take_usage(outcome, answer.usage)

    def take_event(self, outcome: Outcome, event: Any) -> None:
        if event.type == "content_block_delta":
            outcome.text += event.delta.text
        elif event.type == "message_delta":
            outcome.finish = event.delta.stop_reason
            self._take_usage(outcome, event.usage)

    def result(self, answer: Any, text: str) -> Items:
        result = {"type": "tool_result", "tool_use_id": answer.content[0].id, "content": text}
        return [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]

    def elsewhere(self) -> Any:
        return self.client.messages.batches.retrieve("batch")

    @staticmethod
    def _take_usage(outcome: Outcome, usage: Any) -> None:
        outcome.usage = {
            "input": usage.input_tokens,
            "cached": usage.cache_read_input_tokens,
            "output": usage.output_tokens,
        }


PROTOCOLS: dict[str, type[Protocol]] = {"chat": Chat, "responses": Responses, "messages": Messages}
