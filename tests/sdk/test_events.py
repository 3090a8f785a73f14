"""Streams of events, as a client reads them."""

from typing import Any

import msgspec
import pytest

from aibridge.contract.serversentevents import PING, Event, EventType, encode
from aibridge.sdk import Client, Error
from aibridge.sdk.serversentevents import MalformedEvents
from sdk.sdk_server import Answer, Ask, Server

STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class Thing(msgspec.Struct):
    name: str


def events(*names: str, kind: EventType = EventType.DATA) -> bytes:
    return b"".join(encode(Event(kind, msgspec.json.encode({"name": name}))) for name in names)


def everything(ask: Ask, into: list[Thing], **settings: Any) -> None:
    def in_a_thread(client: Any) -> None:
        with client.events("/watch", query={"a": 1}, response=Thing) as reader:
            into.extend(reader)

    async def in_a_loop(client: Any) -> None:
        async with client.events("/watch", query={"a": 1}, response=Thing) as reader:
            async for thing in reader:
                into.append(thing)  # noqa: PERF401 - what came before an error counts

    ask(lambda client: in_a_thread(client) if isinstance(client, Client) else in_a_loop(client), **settings)


def test_data_are_given_as_the_type_and_pings_are_passed_over(ask: Ask, server: Server) -> None:
    server.answers.append(Answer(body=encode(PING) + events("a") + encode(PING) + events("b"), headers=STREAM))
    found: list[Thing] = []
    everything(ask, found, session_token="t")
    assert found == [Thing("a"), Thing("b")]
    assert server.only.path == "/watch?a=1"
    assert server.only.headers["accept"] == "text/event-stream"
    assert server.only.headers["coder-session-token"] == "t"


def test_an_error_in_the_stream_is_raised_after_what_came_before(ask: Ask, server: Server) -> None:
    told = encode(Event(EventType.ERROR, b'{"message":"Gone.","detail":"Why."}'))
    server.answers.append(Answer(body=events("a") + told + events("b"), headers=STREAM))
    found: list[Thing] = []
    with pytest.raises(Error) as caught:
        everything(ask, found)
    assert found == [Thing("a")]
    assert (caught.value.message, caught.value.detail) == ("Gone.", "Why.")


def test_an_error_that_cannot_be_read_is_one(ask: Ask, server: Server) -> None:
    server.answers.append(Answer(body=encode(Event(EventType.ERROR)), headers=STREAM))
    with pytest.raises(Error, match="cannot be read"):
        everything(ask, [])


def test_data_of_another_type_are_an_error(ask: Ask, server: Server) -> None:
    server.answers.append(Answer(body=encode(Event(EventType.DATA, b'{"name":1}')), headers=STREAM))
    with pytest.raises(Error) as caught:
        everything(ask, [])
    assert "$.name" in caught.value.detail


def test_a_stream_that_ends_within_an_event_is_no_whole_one(ask: Ask, server: Server) -> None:
    server.answers.append(Answer(body=events("a") + b"event: data\ndata: {", headers=STREAM))
    found: list[Thing] = []
    with pytest.raises(MalformedEvents):
        everything(ask, found)
    assert found == [Thing("a")]


def test_a_refusal_is_an_error_with_all_that_was_said(ask: Ask, server: Server) -> None:
    server.answers.append(Answer(403, b'{"message":"No."}'))
    with pytest.raises(Error) as caught:
        everything(ask, [])
    assert (caught.value.status, caught.value.message) == (403, "No.")


def test_what_is_no_stream_is_an_error(ask: Ask, server: Server) -> None:
    with pytest.raises(Error, match="no stream of events"):
        everything(ask, [])


def test_who_stops_listening_hangs_up(ask: Ask, server: Server) -> None:
    server.answers.append(Answer(body=events("a", "b"), headers=STREAM))

    def in_a_thread(client: Any) -> Any:
        with client.events("/watch", response=Thing) as reader:
            assert not reader.response.is_closed
        return reader.response

    async def in_a_loop(client: Any) -> Any:
        async with client.events("/watch", response=Thing) as reader:
            assert not reader.response.is_closed
        return reader.response

    response = ask(lambda client: in_a_thread(client) if isinstance(client, Client) else in_a_loop(client), timeout=7.0)
    assert response.is_closed
    # Three pings that did not come, and everything else as the client has it.
    assert response.request.extensions["timeout"] == {"connect": 7.0, "read": 45.0, "write": 7.0, "pool": 7.0}
