"""Runs in an environment that has the vendors' SDKs: takes a job a line, does it, says a line of what came of it.

A job names protocol, sync or async, action, URL, token and model; see `Job`. The SDKs are as their vendors ship them,
told nothing but a base URL and a key. An exception is a result, too.
"""

import asyncio
import inspect
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, TypedDict

from clients.protocols import PROTOCOLS, Outcome, Protocol


class Job(TypedDict):
    """What to do. `options` go to the client's constructor."""

    protocol: str
    asynchronous: bool
    action: str
    url: str
    token: str
    model: str
    options: dict[str, Any]


HELLO = [{"role": "user", "content": "Hello"}]
USE_TOOL = [{"role": "user", "content": 'demo-tool:weather {"city": "Oslo", "days": 3}'}]


async def settled(value: Any) -> Any:
    """The result of a call of either kind of client."""
    return await value if inspect.isawaitable(value) else value


async def each(stream: Any) -> AsyncIterator[Any]:
    """The events of either kind of stream."""
    if hasattr(stream, "__aiter__"):
        async for event in stream:
            yield event
    else:
        for event in stream:
            yield event


@asynccontextmanager
async def opened(manager: Any) -> AsyncIterator[Any]:
    """Enter either kind of context manager."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


async def plain(protocol: Protocol, outcome: Outcome) -> None:
    protocol.take(outcome, await settled(protocol.create(HELLO)))


async def twice(protocol: Protocol, outcome: Outcome) -> None:
    for _ in range(2):
        await plain(protocol, outcome)


async def stream(protocol: Protocol, outcome: Outcome) -> None:
    async for event in each(await settled(protocol.create(HELLO, **protocol.streaming))):
        protocol.take_event(outcome, event)


async def tools(protocol: Protocol, outcome: Outcome) -> None:
    """A turn of two calls: the model asks for a tool, gets its result, and answers."""
    answer = await settled(protocol.create(USE_TOOL, tools=protocol.tools))
    protocol.take(outcome, answer)
    followed = [*USE_TOOL, *protocol.result(answer, "Rain.")]
    closing = Outcome()
    protocol.take(closing, await settled(protocol.create(followed, tools=protocol.tools)))
    outcome.text = closing.text


async def helper(protocol: Protocol, outcome: Outcome) -> None:
    """The SDK's own accumulation of a stream, which looks closest at the order of events."""
    async with opened(protocol.stream(USE_TOOL, tools=protocol.tools)) as events:
        async for _ in each(events):
            pass
        protocol.take(outcome, await settled(protocol.final(events)))


async def models(protocol: Protocol, outcome: Outcome) -> None:
    async for model in each(await settled(protocol.client.models.list())):
        outcome.names.append(model.id)
    outcome.text = (await settled(protocol.client.models.retrieve("demo"))).id


async def count(protocol: Protocol, outcome: Outcome) -> None:
    counted = await settled(protocol.client.messages.count_tokens(model=protocol.model, messages=HELLO))
    outcome.usage = {"input": counted.input_tokens}


async def elsewhere(protocol: Protocol, outcome: Outcome) -> None:
    """A route that the SDK knows and the gateway does not relay."""
    await settled(protocol.elsewhere())


async def background(protocol: Protocol, outcome: Outcome) -> None:
    protocol.take(outcome, await settled(protocol.create(HELLO, background=True)))


ACTIONS = {
    action.__name__: action for action in (plain, twice, stream, tools, helper, models, count, elsewhere, background)
}


def client_for(job: Job) -> Any:
    vendor, path = PROTOCOLS[job["protocol"]].vendor
    name = {"openai": "OpenAI", "anthropic": "Anthropic"}[vendor]
    kind = getattr(import_module(vendor), f"Async{name}" if job["asynchronous"] else name)
    return kind(base_url=job["url"] + path, api_key=job["token"], **job["options"])


async def done(job: Job) -> Outcome:
    outcome = Outcome()
    async with opened(client_for(job)) as client:
        protocol = PROTOCOLS[job["protocol"]](client, job["model"])
        try:
            await ACTIONS[job["action"]](protocol, outcome)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what came of the job)
            outcome.fail(error)
    return outcome


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(asyncio.run(done(json.loads(line))).__dict__), flush=True)  # noqa: T201 (the result)


if __name__ == "__main__":
    main()
