"""What goes wrong on request goes wrong exactly there; what takes time takes exactly that."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from demo_client import (
    CHAT,
    MESSAGES,
    PATHS,
    RESPONSES,
    Reply,
    ask,
    asking,
    calls,
    request_bytes,
    stats,
    until,
    within,
)

from aibridge.demo import Behaviour, DemoServer
from aibridge.demo.exchange import Request
from aibridge.demo.playback import play
from aibridge.demo.provider import DemoProvider

DELTAS = {CHAT: b'"content":"', RESPONSES: b"output_text.delta\n", MESSAGES: b"content_block_delta\n"}


def deltas_in(path: str, reply: Reply) -> int:
    empty = reply.body.count(b'"content":""') if path == CHAT else 0
    return reply.body.count(DELTAS[path]) - empty


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("fault", "reset"), [("truncate", False), ("reset", True)])
def test_a_stream_breaks_after_so_many_tokens(path: str, fault: str, reset: bool) -> None:
    async def test(server: DemoServer) -> None:
        for mode in ("", "&burst=true"):
            reply = await ask(server, path, model=f"demo?fault={fault}&after=4{mode}", stream=True)
            assert (reply.status, deltas_in(path, reply), reply.whole, reply.reset) == (200, 4, False, reset)
        call = (await calls(server))[0]
        assert (call["finished_at"], call["client_left"]) == (None, False)
        assert call["aborted_at"] >= call["received_at"]

    within(test)


@pytest.mark.parametrize(("fault", "reset"), [("truncate", False), ("reset", True)])
def test_an_answer_that_is_not_streamed_breaks_in_its_middle(fault: str, reset: bool) -> None:
    async def test(server: DemoServer) -> None:
        reply = await ask(server, CHAT, model=f"demo?fault={fault}")
        assert (reply.status, reply.whole, reply.reset) == (200, False, reset)
        assert len(reply.body) == int(reply.headers["content-length"]) // 2

    within(test)


@pytest.mark.parametrize(
    ("path", "last"),
    [(CHAT, [""]), (RESPONSES, ["error", "response.failed"]), (MESSAGES, ["error"])],
)
def test_an_error_event_ends_a_stream_in_the_protocols_form(path: str, last: list[str]) -> None:
    async def test(server: DemoServer) -> None:
        reply = await ask(server, path, model="demo?fault=error_event&after=2", stream=True)
        assert (deltas_in(path, reply), reply.whole) == (2, True)
        assert reply.names[-len(last) :] == last
        assert b"asked to fail" in reply.body.split(b"\n\n")[-2]
        if path == RESPONSES:
            assert [data["sequence_number"] for _, data in reply.events] == list(range(8))
        assert (await ask(server, path, model="demo?fault=error_event")).status == 500

    within(test)


def test_garbage_is_not_http() -> None:
    async def test(server: DemoServer) -> None:
        reply = await ask(server, CHAT, model="demo?fault=garbage")
        assert reply.raw
        assert not reply.raw.startswith(b"HTTP/")

    within(test)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", ["stall_before", "stall"])
def test_a_stall_lasts_until_the_client_leaves_and_that_is_seen_at_once(fault: str, streamed: bool) -> None:
    async def test(server: DemoServer) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(request_bytes("POST", CHAT, asking(CHAT, model=f"demo?fault={fault}&after=1", stream=streamed)))
        if fault == "stall":
            assert await reader.read(1)
        await until(server, lambda seen: seen["in_flight"] == 1, stats)
        assert (await calls(server))[0]["aborted_at"] is None
        writer.close()
        await until(server, lambda seen: seen["in_flight"] == 0, stats)
        (call,) = await calls(server)
        assert (call["finished_at"], call["client_left"]) == (None, True)
        assert (await stats(server))["open_connections"] == 1

    within(test)


def test_a_client_that_leaves_in_the_same_breath_is_counted_out_too() -> None:
    async def test(server: DemoServer) -> None:
        for _ in range(50):
            _, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(request_bytes("POST", CHAT, asking(CHAT, model="demo?latency=9")))
            writer.close()
        await until(server, lambda seen: seen["total"] == 50 and seen["in_flight"] == 0, stats)

    within(test)


def test_a_connection_is_kept_unless_it_is_to_close_when_idle() -> None:
    async def test(server: DemoServer) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        for _ in range(3):
            writer.write(request_bytes("GET", "/v1/models/demo"))
            reply = Reply(raw=await reader.readuntil(b"}"))
            assert reply.whole
            assert "connection" not in reply.headers
        writer.write(request_bytes("POST", CHAT, asking(CHAT, model="demo?fault=close_idle")))
        reply = Reply(raw=await reader.read())
        assert reply.whole
        assert "connection" not in reply.headers
        writer.close()

    within(test)


def test_requests_sent_ahead_are_answered_in_order() -> None:
    async def test(server: DemoServer) -> None:
        models = ("demo?latency=0.01&tokens=1", "demo?tokens=2", "demo?tokens=3")
        requests = [request_bytes("POST", CHAT, asking(CHAT, model=model)) for model in models]
        requests.append(request_bytes("GET", "/", None, {"connection": "close"}))
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"".join(requests))
        raw = await reader.read()
        places = [raw.index(b'"completion_tokens":%d' % tokens) for tokens in (1, 2, 3)]
        assert places == sorted(places)
        assert raw.count(b"HTTP/1.1 200") == 4
        writer.close()

    within(test)


def test_what_is_not_http_is_refused() -> None:
    async def test(server: DemoServer) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GARBAGE\r\n\r\n")
        assert Reply(raw=await reader.read()).status == 400
        writer.close()

    within(test)


def test_a_client_of_http_1_0_gets_no_chunks() -> None:
    async def test(server: DemoServer) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        request = request_bytes("POST", MESSAGES, asking(MESSAGES, stream=True))
        writer.write(request.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        reply = Reply(raw=await reader.read())
        assert (reply.names[-1], reply.headers["connection"]) == ("message_stop", "close")
        assert "transfer-encoding" not in reply.headers
        writer.close()

    within(test)


def test_curl_is_told_to_go_on_with_a_large_body() -> None:
    async def test(server: DemoServer) -> None:
        head, body = request_bytes("POST", CHAT, asking(CHAT), {"expect": "100-continue"}).split(b"\r\n\r\n")
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(head + b"\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()

    within(test)


def test_a_client_that_does_not_read_holds_the_stream_back() -> None:
    async def test(server: DemoServer) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        # About 14 MB: more than the sockets' buffers take. Nothing else keeps a burst from ending at once.
        body = asking(CHAT, model="demo?tokens=60000&burst=true", stream=True)
        writer.write(request_bytes("POST", CHAT, body, {"connection": "close"}))
        raw = await reader.read(1)
        assert (await stats(server))["in_flight"] == 1
        while data := await reader.read(1 << 20):
            raw += data
        assert raw.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert (await calls(server))[0]["finished_at"] is not None
        writer.close()

    within(test)


def test_closing_the_server_cuts_what_is_being_answered() -> None:
    async def test(server: DemoServer) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(request_bytes("POST", CHAT, asking(CHAT, model="demo?fault=stall", stream=True)))
        await reader.read(1)
        await server.close()
        with contextlib.suppress(ConnectionResetError):
            while await reader.read(65536):
                pass
        with pytest.raises(OSError, match="refused"):
            await asyncio.open_connection(server.host, server.port)
        writer.close()

    within(test)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to whatever is due next."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._real_select = self._selector.select  # type: ignore[attr-defined]
        self._selector.select = self._jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.now

    def _jump(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return self._real_select(0)


class Ears:
    """A client that notes what it hears, and when."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.heard: list[tuple[float, bytes]] = []

    def write(self, data: bytes) -> None:
        self.heard.append((round(self.loop.now, 6), data))

    async def drained(self) -> None:
        pass

    def finish(self) -> None:
        raise AssertionError

    def reset(self) -> None:
        raise AssertionError


def heard(model: str, *, stream: bool) -> list[tuple[float, bytes]]:
    """What a client hears, and when, on a virtual clock."""
    body = json.dumps(asking(MESSAGES, model=model, stream=stream)).encode()
    request = Request(method="POST", target=MESSAGES, path=MESSAGES, headers=[], body=body, keep_alive=True)
    plan = DemoProvider(Behaviour(), record=False).plan(request, now=0)
    with contextlib.closing(VirtualLoop()) as loop:
        ears = Ears(loop)
        assert loop.run_until_complete(play(plan, ears))
        return ears.heard


def test_a_stream_begins_after_its_latency_and_keeps_its_rate() -> None:
    written = heard("demo?latency=2&rate=4&tokens=5", stream=True)
    assert written[0][0] == 2
    assert [at for at, data in written if b"text_delta" in data] == [2, 2.25, 2.5, 2.75, 3]
    assert [at for at, data in written if b"message_stop" in data] == [3.25]


def test_an_answer_that_is_not_streamed_takes_as_long_as_its_stream() -> None:
    ((at, _),) = heard("demo?latency=2&rate=4&tokens=5", stream=False)
    assert at == 3.25


def test_as_fast_as_possible_is_one_write_for_every_event() -> None:
    written = heard("demo?tokens=5", stream=True)
    assert {at for at, _ in written} == {0}
    assert [data.count(b"event: ") for _, data in written] == [0, *[1] * 11, 0]
