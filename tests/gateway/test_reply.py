"""A reply alone: what is sent when, held back to the end, and broken off."""

import asyncio

import pytest
from layer_cases import a_reply

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Source:
    def __init__(self) -> None:
        self.told: list[str] = []

    def pause_reading(self) -> None:
        self.told.append("pause")

    def resume_reading(self) -> None:
        self.told.append("resume")


def test_the_last_bytes_wait_for_the_end_and_go_with_the_last_chunk() -> None:
    reply, transport = a_reply()
    reply.begin(200, HEAD, chunked=True, streaming=True)
    assert not transport.written
    reply.write(b"first")
    assert transport.written == HEAD + b"5\r\nfirst\r\n"
    reply.hold(b"last")
    assert transport.written == HEAD + b"5\r\nfirst\r\n"
    reply.finish()
    assert transport.written == HEAD + b"5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n"
    assert reply.sent == len(b"firstlast")


@pytest.mark.parametrize(("chunked", "expected"), [(True, HEAD + b"0\r\n\r\n"), (False, HEAD)])
def test_an_empty_answer_is_a_head_and_an_end(chunked: bool, expected: bytes) -> None:
    reply, transport = a_reply()
    reply.begin(200, HEAD, chunked=chunked, streaming=False)
    reply.finish()
    assert transport.written == expected
    assert reply.started


def test_a_broken_stream_ends_in_its_event_without_a_last_chunk() -> None:
    reply, transport = a_reply()
    reply.begin(200, HEAD, chunked=True, streaming=True)
    reply.write(b"x")
    reply.break_off(b"error!")
    assert transport.written == HEAD + b"1\r\nx\r\n6\r\nerror!\r\n"
    assert transport.closed
    assert reply.keep_alive is False


def test_a_body_that_ends_with_its_connection_is_broken_off_by_a_reset() -> None:
    reply, transport = a_reply(may_chunk=False)
    reply.begin(200, HEAD, chunked=False, streaming=True)
    reply.write(b"x")
    reply.break_off(b"error!")
    assert transport.aborted
    assert not transport.closed


def test_back_pressure_follows_the_source_of_the_moment() -> None:
    reply, _ = a_reply()
    first, second = Source(), Source()
    reply.pause()
    reply.draw_from(first)
    assert first.told == ["pause"]
    reply.draw_from(None)
    assert first.told == ["pause", "resume"]
    reply.draw_from(second)
    reply.resume()
    reply.pause()
    reply.resume()
    assert second.told == ["pause", "resume", "pause", "resume"]
    assert first.told == ["pause", "resume"]


def test_a_reply_is_drained_when_its_client_has_caught_up() -> None:
    async def test() -> None:
        reply, _ = a_reply()
        await reply.drained()
        reply.pause()
        waiting = asyncio.ensure_future(reply.drained())
        await asyncio.sleep(0)
        assert not waiting.done()
        reply.resume()
        reply.pause()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        reply.resume()
        await waiting

    asyncio.run(test())
