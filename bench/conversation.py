"""The call that is measured, byte for byte: what a client sends and what a provider answers.

The bytes are made once. The upstream writes them, the clients compare with them, so that a proxy which changes, drops
or invents one is found out.
"""

import json
from collections.abc import Mapping

PATH = "/openai/v1/chat/completions"
"""What clients ask for, of every proxy. Each takes `/openai` off."""
UPSTREAM_PATH = "/v1/chat/completions"
PROVIDER_KEY = "sk-bench-provider-0123456789abcdef0123456789abcdef"
"""What every proxy has to put in the place of the client's credential."""

INPUT_TOKENS = 211
OUTPUT_TOKENS = 87
"""The usage that the upstream reports, with every answer."""

_QUESTION = (
    "The job that imports our customers' orders has become slow since Monday. It reads a file of some forty megabytes, "
    "looks up every order's customer by e-mail address and writes a row for each. The table of customers has grown to "
    "two million rows. Explain what is likely to have happened, how I make sure that it is that, and what the smallest "
    "change is that helps. Please show the statement for PostgreSQL, and say whether it can be run while people work. "
    "What I have looked at so far: the disk is not full, the database's processor is busy all the time, one query is "
    "in its list of running queries whenever I look, and the number of orders in the file is what it always was. "
    "Nobody has changed the program since spring."
)
_INSTRUCTION = "You are a patient senior engineer. Answer briefly, and say so when you are not sure of something."

CLIENT_HEADERS: Mapping[str, str] = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
    "Content-Type": "application/json",
    "User-Agent": "OpenAI/Python 2.8.0",
    "X-Stainless-Arch": "x64",
    "X-Stainless-Async": "false",
    "X-Stainless-Lang": "python",
    "X-Stainless-OS": "Linux",
    "X-Stainless-Package-Version": "2.8.0",
    "X-Stainless-Runtime": "CPython",
    "X-Stainless-Runtime-Version": "3.11.2",
    "X-Stainless-Read-Timeout": "600",
    "X-Stainless-Retry-Count": "0",
}
"""What OpenAI's SDK for Python sends beside host, credential and length."""


def compact(value: object) -> bytes:
    """JSON as clients and providers send it: without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def _question(**more: object) -> bytes:
    messages = [{"role": "system", "content": _INSTRUCTION}, {"role": "user", "content": _QUESTION}]
    tools = {"temperature": 0.2, "max_completion_tokens": 1024, "user": "orders-import"}
    return compact({"messages": messages, "model": "gpt-bench", **tools, **more})


_USAGE = {
    "prompt_tokens": INPUT_TOKENS,
    "completion_tokens": OUTPUT_TOKENS,
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_ID = "chatcmpl-Bq3x8LwT5vNfYk2ZsR7mJpQdHcEa"
_CHOICE = {
    "index": 0,
    "message": {
        "role": "assistant",
        "content": "Most likely the look-up by e-mail address reads the whole table: an index on it is missing, or the "
        "types differ so that it is not used. EXPLAIN (ANALYZE, BUFFERS) of one look-up shows a Seq Scan then. "
        "CREATE INDEX CONCURRENTLY customers_email ON customers (lower(email)); can be run while people work.",
        "refusal": None,
    },
    "finish_reason": "stop",
}

QUESTION = _question()
"""The body of a call, about 1 KB."""
STREAMING = b'"stream":true'
"""By this the upstream tells which answer is wanted."""
STREAMED_QUESTION = _question(stream=True, stream_options={"include_usage": True})
ANSWER = compact(
    {
        "id": _ID,
        "object": "chat.completion",
        "created": 1790000000,
        "model": "gpt-bench",
        "choices": [_CHOICE],
        "usage": _USAGE,
    }
)
"""The body of an answer that is not streamed."""


def events(number: int) -> list[bytes]:
    """The events of a streamed answer: deltas of about 230 bytes, then why it ends, the usage, and `[DONE]`.

    `number` counts all of them, so it is at least 3.
    """
    deltas = [_chunk([_delta({"content": f" word{position}"}, None)]) for position in range(number - 3)]
    return [*deltas, _chunk([_delta({}, "stop")]), _chunk([], _USAGE), b"data: [DONE]\n\n"]


def request(host: str, credential: str, body: bytes) -> bytes:
    """A whole request, as the SDK would write it."""
    lines = [
        f"POST {PATH} HTTP/1.1",
        f"Host: {host}",
        *(f"{name}: {value}" for name, value in client_headers(credential).items()),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def client_headers(credential: str) -> dict[str, str]:
    """The headers of a request, save for host and length."""
    return {**CLIENT_HEADERS, "Authorization": f"Bearer {credential}"}


def _delta(delta: Mapping[str, str], finish_reason: str | None) -> object:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _chunk(choices: list[object], usage: Mapping[str, object] | None = None) -> bytes:
    chunk = {
        "id": _ID,
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "model": "gpt-bench",
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + compact(chunk) + b"\n\n"
