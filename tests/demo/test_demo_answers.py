"""The three protocols, whole and streamed; and what else a vendor serves."""

import json

import pytest
from demo_client import (
    CHAT,
    MESSAGES,
    PATHS,
    RESPONSES,
    ask,
    asking,
    calls,
    request_bytes,
    send,
    stats,
    text_of,
    within,
)

from aibridge.demo import Behaviour, DemoServer


@pytest.mark.parametrize("path", PATHS)
def test_a_plain_answer_is_small_and_says_who_it_is(path: str) -> None:
    async def test(server: DemoServer) -> None:
        first, second = await ask(server, path), await ask(server, path)
        assert (first.status, first.whole, first.headers["content-type"]) == (200, True, "application/json")
        assert "AI Bridge demo provider" in str(text_of(path, first))
        assert 300 <= len(first.body) <= 800
        assert first.json["id"] != second.json["id"]
        assert first.json["model"] == "demo"

    within(test)


def test_usage_is_a_quarter_of_the_prompts_bytes_and_one_for_each_word() -> None:
    async def test(server: DemoServer) -> None:
        # 8 characters, 10 bytes: 3 tokens.
        chat = await ask(server, CHAT, "Grüße 78", "demo?tokens=7&cached=5")
        assert chat.json["usage"]["prompt_tokens"] == 3 + 5
        assert chat.json["usage"]["prompt_tokens_details"]["cached_tokens"] == 5
        assert chat.json["usage"]["completion_tokens"] == len(str(text_of(CHAT, chat)).split()) == 7
        assert chat.json["usage"]["total_tokens"] == 15
        responses = await ask(server, RESPONSES, "Grüße 78", "demo?tokens=7&cached=5", instructions="12345678")
        assert responses.json["usage"]["input_tokens"] == 3 + 2 + 5
        assert responses.json["usage"]["output_tokens"] == 7
        messages = await ask(server, MESSAGES, "Grüße 78", "demo?tokens=7&cached=5", system=[{"text": "12345678"}])
        usage = messages.json["usage"]
        assert [usage[name] for name in ("input_tokens", "cache_read_input_tokens", "output_tokens")] == [5, 5, 7]

    within(test)


@pytest.mark.parametrize("path", PATHS)
def test_a_longer_answer_repeats_the_sentence_with_its_spaces(path: str) -> None:
    async def test(server: DemoServer) -> None:
        text = str(text_of(path, await ask(server, path, model="demo?tokens=300")))
        assert len(text.split()) == 300
        assert text == " ".join(text.split())

    within(test)


def test_a_chat_stream_ends_with_its_usage_only_when_asked() -> None:
    async def test(server: DemoServer) -> None:
        model = "\0hole\0"  # what stands for a text until it is known
        plain = await ask(server, CHAT, model=model, stream=True)
        counted = await ask(server, CHAT, model=model, stream=True, stream_options={"include_usage": True})
        assert plain.headers["content-type"].startswith("text/event-stream")
        assert plain.whole
        *chunks, done = [data for _, data in plain.events]
        assert done == "[DONE]"
        assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks] == ["", "This", " is", " the", None]
        assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, None, "stop"]
        assert {chunk["model"] for chunk in chunks} == {model}
        assert not any("usage" in chunk for chunk in chunks)
        *chunks, last, done = [data for _, data in counted.events]
        assert done == "[DONE]"
        assert [chunk["usage"] for chunk in chunks] == [None] * 5
        assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 3)

    within(test, Behaviour(tokens=3))


def test_a_messages_stream_has_the_documented_sequence() -> None:
    async def test(server: DemoServer) -> None:
        reply = await ask(server, MESSAGES, model="demo?tokens=2&cached=9", stream=True)
        events = dict(reply.events)
        assert reply.names == [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
        assert all(name == data["type"] for name, data in reply.events)
        assert events["message_start"]["message"]["usage"]["cache_read_input_tokens"] == 9
        assert events["message_start"]["message"]["usage"]["output_tokens"] == 1
        assert events["content_block_delta"]["delta"] == {"type": "text_delta", "text": " is"}
        assert events["message_delta"]["delta"]["stop_reason"] == "end_turn"
        assert events["message_delta"]["usage"]["output_tokens"] == 2
        assert reply.whole

    within(test)


def test_a_responses_stream_has_the_documented_sequence() -> None:
    async def test(server: DemoServer) -> None:
        reply = await ask(server, RESPONSES, model="demo?tokens=2", stream=True)
        events = dict(reply.events)
        assert [name.removeprefix("response.") for name in reply.names] == [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
        assert [data["sequence_number"] for _, data in reply.events] == list(range(10))
        assert all(name == data["type"] for name, data in reply.events)
        assert events["response.output_text.done"]["text"] == "This is"
        final = events["response.completed"]["response"]
        assert (final["status"], final["usage"]["output_tokens"]) == ("completed", 2)
        assert final["output"][0]["id"] == events["response.output_text.delta"]["item_id"]
        assert reply.whole

    within(test)


def test_every_answer_carries_the_vendors_headers() -> None:
    async def test(server: DemoServer) -> None:
        openai, anthropic = await ask(server, CHAT), await ask(server, MESSAGES)
        assert openai.headers["x-request-id"].startswith("req_")
        assert openai.headers["openai-organization"] == "demo-organization"
        assert anthropic.headers["request-id"].startswith("req_")
        assert "set-cookie" in openai.headers
        assert "set-cookie" in anthropic.headers

    within(test)


def test_models_are_listed_in_the_shape_of_the_vendor() -> None:
    async def test(server: DemoServer) -> None:
        version = {"anthropic-version": "2023-06-01"}
        openai = await send(server, "GET", "/v1/models")
        anthropic = await send(server, "GET", "/v1/models?limit=1000", None, version)
        assert (openai.json["object"], openai.json["data"][0]["object"]) == ("list", "model")
        assert (anthropic.json["has_more"], anthropic.json["data"][0]["type"]) == (False, "model")
        assert any("claude" in model["id"] for model in anthropic.json["data"])
        assert (await send(server, "GET", "/v1/models/demo")).json == openai.json["data"][0]
        assert (await send(server, "GET", "/v1/models/demo", None, version)).json == anthropic.json["data"][0]
        assert (await send(server, "GET", "/v1/models/unknown")).status == 404

    within(test)


def test_tokens_are_counted_as_usage_counts_them() -> None:
    async def test(server: DemoServer) -> None:
        body = asking(MESSAGES, "12345678", tools=[{"name": "get_weather"}])
        counted = await send(server, "POST", "/v1/messages/count_tokens", body)
        answered = await send(server, "POST", MESSAGES, body)
        tokens = (8 + len('[{"name": "get_weather"}]')) // 4 + 1
        assert counted.json == {"input_tokens": answered.json["usage"]["input_tokens"]} == {"input_tokens": tokens}

    within(test)


def test_the_base_answers_and_anything_else_is_not_found_in_the_vendors_shape() -> None:
    async def test(server: DemoServer) -> None:
        for path in ("/", "/v1", "/api/hello?beta=true"):
            head, got = await send(server, "HEAD", path), await send(server, "GET", path)
            assert (head.status, head.body, got.status, got.whole) == (200, b"", 200, True)
        openai = await send(server, "GET", CHAT)
        assert (openai.status, openai.error["code"]) == (404, "not_found")
        anthropic = await send(server, "PUT", "/v1/messages/batches")
        assert (anthropic.status, anthropic.error["type"]) == (404, "not_found_error")
        assert anthropic.json["request_id"] == anthropic.headers["request-id"]

    within(test)


@pytest.mark.parametrize(("method", "protocol"), [("GET", "websocket"), ("POST", "h2c")])
def test_another_protocol_is_refused_so_that_clients_fall_back_at_once(method: str, protocol: str) -> None:
    async def test(server: DemoServer) -> None:
        wish = {"connection": "Upgrade", "upgrade": protocol}
        reply = await send(server, method, RESPONSES, asking(RESPONSES) if method == "POST" else None, wish)
        assert (reply.status, reply.headers["connection"], reply.whole) == (426, "close", True)
        assert reply.headers["upgrade"] == "HTTP/1.1"

    within(test)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"model": 1}', b'{"model": "demo", "messages": 7, "input": 7}']
)
def test_a_body_that_is_not_of_the_protocol_is_a_bad_request(path: str, body: bytes) -> None:
    async def test(server: DemoServer) -> None:
        reply = await send(server, "POST", path, body)
        assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")

    within(test)


def test_calls_are_kept_and_counted_until_they_are_forgotten() -> None:
    async def test(server: DemoServer) -> None:
        long = request_bytes("POST", "/v1/chat", b"x" * 70_000, {"X-Thing": "1", "connection": "close"})
        await ask(server, CHAT)
        await send(server, "POST", "/v1/chat?a=1", long, {"X-Thing": "1"})
        first, second = await calls(server)
        assert (first["method"], first["path"], first["status"]) == ("POST", CHAT, 200)
        assert json.loads(first["body"]) == asking(CHAT)
        assert first["received_at"] <= first["finished_at"]
        assert (first["aborted_at"], first["client_left"]) == (None, False)
        assert (second["path"], second["status"]) == ("/v1/chat?a=1", 404)
        assert dict(second["headers"])["x-thing"] == "1"
        assert len(second["body"]) == 64 * 1024
        assert await stats(server) == {"in_flight": 0, "max_in_flight": 1, "total": 2, "open_connections": 1}
        await send(server, "DELETE", "/demo/calls")
        assert await calls(server) == []
        assert (await stats(server))["total"] == 0

    within(test)


def test_calls_are_only_counted_when_they_are_not_to_be_kept() -> None:
    async def test(server: DemoServer) -> None:
        await ask(server, CHAT)
        assert await calls(server) == []
        assert (await stats(server))["total"] == 1

    within(test, Behaviour(tokens=3), record=False)
