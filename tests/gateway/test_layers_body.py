"""`body` and `content` alone, and the body they wait for."""

import asyncio

import pytest
from in_task import in_task
from layer_cases import BODY, Inside, a_call, a_reply, finished, request_body

from aibridge.domain.errors import BadRequest, BodyTooLarge, NotSupported, RequestTimeout
from aibridge.gateway.body import body, content, peek
from aibridge.gateway.call import RequestBody

RESPONSES = b"/openai/v1/responses"
MESSAGES = b"/anthropic/v1/messages"


def test_the_body_is_kept_as_it_came_and_peeked_at() -> None:
    odd = b' { "model" : "gpt-5" , "stream":true}\n'
    inside = Inside()
    call = a_call(body=request_body(odd))
    finished(body()(inside)(call, a_reply()[0]))
    assert call.content is not None
    assert call.content == odd
    assert call.view is not None
    assert (call.view.model, call.view.stream) == ("gpt-5", True)
    assert inside.calls == [call]


def test_parts_are_joined_and_nothing_is_kept_twice() -> None:
    whole = RequestBody(100)
    for at in range(len(BODY)):
        whole.feed(BODY[at : at + 1])
    whole.finish()
    call = a_call(body=whole)
    finished(body()(Inside())(call, a_reply()[0]))
    assert call.content == BODY


@pytest.mark.parametrize("content_bytes", [b"", b"[]", b"{", b'{"model":1}', b'{"stream":true}', b"\xff", b"null"])
@pytest.mark.parametrize("path", [b"/openai/v1/chat/completions", RESPONSES, MESSAGES])
def test_a_body_that_cannot_be_understood_is_a_400(content_bytes: bytes, path: bytes) -> None:
    inside = Inside()
    with pytest.raises(BadRequest):
        finished(body()(inside)(a_call(path=path, body=request_body(content_bytes)), a_reply()[0]))
    assert inside.calls == []


def test_a_background_response_is_a_501() -> None:
    inside = Inside()
    call = a_call(path=RESPONSES, body=request_body(b'{"model":"gpt-5","background":true}'))
    with pytest.raises(NotSupported) as caught:
        finished(body()(inside)(call, a_reply()[0]))
    assert (caught.value.status, caught.value.field) == (501, "background")
    assert inside.calls == []
    finished(
        body()(inside)(a_call(path=RESPONSES, body=request_body(b'{"model":"m","background":false}')), a_reply()[0])
    )


@pytest.mark.parametrize("encoding", [b"gzip", b"zstd", b"identity, gzip"])
def test_a_compressed_body_is_refused(encoding: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        finished(body()(Inside())(a_call((b"content-encoding", encoding)), a_reply()[0]))
    assert caught.value.field == "content-encoding"
    finished(body()(Inside())(a_call((b"content-encoding", b"identity")), a_reply()[0]))


def test_what_is_passed_through_may_be_anything() -> None:
    call = a_call((b"content-encoding", b"gzip"), body=request_body(b"\x1f\x8b"))
    finished(content()(Inside())(call, a_reply()[0]))
    assert call.content == b"\x1f\x8b"
    assert call.view is None


def test_a_body_over_its_maximum_is_a_413_and_is_not_kept() -> None:
    large = RequestBody(10)
    large.feed(b"x" * 10)
    large.feed(b"x")
    large.feed(b"x" * 1000)
    large.finish()
    for layer in (body(), content()):
        inside = Inside()
        with pytest.raises(BodyTooLarge) as caught:
            finished(layer(inside)(a_call(body=large), a_reply()[0]))
        assert "10 bytes" in caught.value.message
        assert inside.calls == []
    assert large.received == 1011


def test_a_body_of_exactly_its_maximum_passes() -> None:
    finished(body()(Inside())(a_call(body=request_body(maximum=len(BODY))), a_reply()[0]))


def test_the_layer_waits_for_the_body_and_asks_for_it_first() -> None:
    asked = []

    async def test() -> None:
        late = RequestBody(100, lambda: asked.append(True))
        call = a_call(body=late)
        work = asyncio.ensure_future(in_task(body()(Inside())(call, a_reply()[0])))
        await asyncio.sleep(0)
        assert asked == [True]
        late.feed(BODY)
        await asyncio.sleep(0)
        assert not work.done()
        late.finish()
        await work
        assert call.content == BODY

    asyncio.run(test())


def test_what_was_peeked_at_before_is_not_read_again() -> None:
    call, inside = a_call(), Inside()
    assert call.body.content() == BODY
    assert peek(call, b'{"model":"o5"}').model == "o5"
    finished(body()(inside)(call, a_reply()[0]))
    assert call.content == b'{"model":"o5"}'
    assert inside.calls == [call]


def test_a_body_that_is_here_is_not_asked_for() -> None:
    here = RequestBody(100, lambda: pytest.fail("asked"))
    here.feed(BODY)
    here.finish()
    finished(body()(Inside())(a_call(body=here), a_reply()[0]))


def test_who_waits_for_a_body_is_told_why_it_does_not_come() -> None:
    async def test() -> None:
        late = RequestBody(100)
        work = asyncio.ensure_future(in_task(content()(Inside())(a_call(body=late), a_reply()[0])))
        await asyncio.sleep(0)
        late.feed(b"{")
        late.fail(RequestTimeout("too late"))
        late.feed(b"}")
        late.finish()
        with pytest.raises(RequestTimeout):
            await work

    asyncio.run(test())


def test_a_failure_after_the_end_changes_nothing() -> None:
    whole = request_body()
    whole.fail(RequestTimeout("too late"))
    call = a_call(body=whole)
    finished(body()(Inside())(call, a_reply()[0]))
    assert call.content == BODY
