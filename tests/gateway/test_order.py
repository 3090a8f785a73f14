"""The order of the layers, by name and, in the real composition, by what it makes of a call with several faults."""

import asyncio
from collections.abc import Sequence

import pytest
from gateway_world import MemoryJournal, World, gateway, run, until
from layer_cases import Inside, a_call, a_reply, finished
from raw_client import Answer
from scripted_upstream import silence
from vendor_samples import CHAT, MESSAGES, Sample

from aibridge.domain.interception import Ending, Interception
from aibridge.gateway.call import Call, Check, Handler, Layer
from aibridge.gateway.pipeline import Pipelines, Way, compose, pipelines
from aibridge.gateway.reply import Reply

INTERCEPTION = ["drain", "capacity", "identify", "pace", "admit", "body", "record", "retry", "guard", "relay"]


class Trace:
    """Checks and layers that write down when they are entered and left."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.left: list[str] = []

    def check(self, name: str) -> Check:
        def check(_: Call) -> None:
            self.entered.append(name)

        return check

    def layer(self, name: str) -> Layer:
        def wrap(handle: Handler) -> Handler:
            async def traced(call: Call, reply: Reply) -> None:
                self.entered.append(name)
                await handle(call, reply)
                self.left.append(name)

            return traced

        return wrap

    def of(self, *, guards: bool = True, limit_pass_through: bool = False) -> Pipelines:
        return pipelines(
            drain=self.check("drain"),
            capacity=self.check("capacity"),
            identify=self.check("identify"),
            pace=self.check("pace"),
            admit=self.layer("admit"),
            body=self.layer("body"),
            content=self.layer("content"),
            record=self.layer("record"),
            retry=self.layer("retry") if guards else None,
            guard=self.layer("guard") if guards else None,
            relay=self.layer("relay")(Inside()),
            limit_pass_through=limit_pass_through,
        )


def traced(way: Way, trace: Trace) -> list[str]:
    call = a_call()
    assert way.enter(call) is None
    at_the_door = len(trace.entered)
    finished(way.handle(call, a_reply()[0]))
    assert trace.left == trace.entered[at_the_door:][::-1]
    return trace.entered


def test_an_interception_meets_every_step_in_this_order() -> None:
    trace = Trace()
    assert traced(trace.of().interception, trace) == INTERCEPTION


def test_limits_that_weigh_the_body_are_decided_right_behind_it() -> None:
    trace = Trace()
    expected = ["drain", "capacity", "identify", "pace", "body", "admit", "record", "retry", "guard", "relay"]
    assert traced(trace.of().weighed, trace) == expected


def test_what_is_off_leaves_the_rest_in_order() -> None:
    trace = Trace()
    expected = [name for name in INTERCEPTION if name not in {"retry", "guard"}]
    assert traced(trace.of(guards=False).interception, trace) == expected


def test_what_is_passed_through_is_identified_but_neither_limited_nor_recorded() -> None:
    trace = Trace()
    assert traced(trace.of().pass_through, trace) == ["drain", "identify", "content", "relay"]


def test_what_is_passed_through_is_limited_when_asked_for() -> None:
    trace = Trace()
    expected = ["drain", "capacity", "identify", "pace", "admit", "content", "relay"]
    assert traced(trace.of(limit_pass_through=True).pass_through, trace) == expected


def test_without_layers_a_handler_is_itself() -> None:
    inside = Inside()
    assert compose([], inside) is inside


async def fill(world: World) -> None:
    """Take the only permit."""
    await (await world.client()).send(world.request())
    await until(lambda: world.permits == 1)
    await world.upstream.request()


def honest(answer: Answer) -> None:
    """A refusal that passes says when, in whole seconds from 1 to 60, and more exactly where that is known."""
    seconds, milliseconds = answer.value(b"retry-after"), answer.value(b"retry-after-ms")
    assert seconds is not None
    assert 1 <= int(seconds) <= 60
    assert (milliseconds is not None) == (answer.status == 429)
    assert milliseconds is None or 0 <= int(seconds) * 1000 - int(milliseconds) < 1000


@pytest.mark.parametrize("sample", [CHAT, MESSAGES], ids=lambda s: s.name)
def test_capacity_stands_before_identify(sample: Sample) -> None:
    async def test() -> None:
        async with gateway(silence, max_concurrency=1, first_byte_timeout=0.3) as world:
            await fill(world)
            for token in (world.token, None, "aib_wrong"):
                answer = await world.call(world.request(sample, token=token))
                assert answer.status == 503
                assert answer.json["message"] == "AI Bridge is currently at capacity. Please try again later."
                kind = "overloaded_error" if sample is MESSAGES else "server_error"
                assert answer.json["error"]["type"] == kind
                honest(answer)
            assert world.permits == 1

    run(test())


def test_drain_stands_before_capacity() -> None:
    async def test() -> None:
        async with gateway(silence, max_concurrency=1, first_byte_timeout=0.3) as world:
            await fill(world)
            world.plane.draining = True
            answer = await world.call(world.request())
            assert (answer.status, answer.value(b"connection")) == (503, b"close")
            assert answer.json["message"] == "AI Bridge is shutting down. Please try again later."
            honest(answer)
            passed = await world.call(b"GET /openai/v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
            assert passed.status == 503

    run(test())


def test_identify_stands_before_pace_so_that_strangers_spend_nobodys_rate() -> None:
    async def test() -> None:
        async with gateway(rate_limit=1) as world:
            assert (await world.call(world.request(token=None))).status == 401
            assert (await world.call(world.request())).status == 200
            assert (await world.call(world.request())).status == 429
            assert (await world.call(world.request(token="aib_wrong"))).status == 401

    run(test())


def test_over_the_rate_the_answer_says_how_long() -> None:
    async def test() -> None:
        async with gateway(rate_limit=2) as world:
            for expected in (200, 200, 429):
                answer = await world.call(world.request(MESSAGES))
                assert answer.status == expected
            assert answer.json["message"] == "You've been rate limited. Please try again later."
            assert answer.json["error"]["type"] == "rate_limit_error"
            assert answer.value(b"ratelimit") == b'"token";r=0;t=1'
            policies = b'"token";q=2;w=1, "concurrency";q=100;qu="concurrent-requests"'
            assert answer.value(b"ratelimit-policy") == policies
            honest(answer)
            assert (await world.call(world.request(token=world.tokens.new("eve")))).status == 200

    run(test())


def test_pace_stands_before_body_so_that_a_refused_body_is_not_waited_for() -> None:
    async def test() -> None:
        async with gateway(rate_limit=1) as world:
            assert (await world.call(world.request())).status == 200
            head, _, _ = world.request().partition(b"\r\n\r\n")
            answer = await world.call(head + b"\r\n\r\n")
            assert answer.status == 429

    run(test())


def test_a_permit_is_held_while_the_body_comes() -> None:
    async def test() -> None:
        async with gateway(max_concurrency=1) as world:
            slow = await world.client()
            request = world.request()
            await slow.send(request[:-1])
            await until(lambda: world.permits == 1)
            assert (await world.call(request)).status == 503
            assert (await slow.call(request[-1:])).status == 200
            assert (await world.call(request)).status == 200

    run(test())


@pytest.mark.parametrize("body", [b"", b"[]", b'{"model":""}'])
def test_body_stands_before_record_so_that_a_bad_body_is_not_recorded(body: bytes) -> None:
    async def test() -> None:
        async with gateway() as world:
            assert (await world.call(world.request(body=body))).status == 400
            assert world.journal.begun == []

    run(test())


def test_record_stands_before_relay_so_that_nothing_unrecorded_is_asked() -> None:
    async def test() -> None:
        async with gateway() as world:
            world.journal.healthy = False
            answer = await world.call(world.request())
            assert answer.status == 503
            honest(answer)
            assert world.upstream.requests == []
            world.journal.healthy = True
            assert (await world.call(world.request())).status == 200

    run(test())


@pytest.mark.interpreted
def test_the_last_byte_leaves_when_the_end_is_written_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    write, finish = MemoryJournal.write, Reply.finish

    def written(journal: MemoryJournal, started: Sequence[Interception], ended: Sequence[Ending]) -> bool:
        order.extend(["begun"] * len(started) + ["ended"] * len(ended))
        return write(journal, started, ended)

    def finished_reply(reply: Reply) -> None:
        order.append("last byte")
        finish(reply)

    monkeypatch.setattr(MemoryJournal, "write", written)
    monkeypatch.setattr(Reply, "finish", finished_reply)

    async def test() -> None:
        async with gateway() as world:
            assert (await world.call(world.request())).whole
            assert order == ["begun", "ended", "last byte"]

    run(test())


def test_a_permit_is_held_to_the_last_byte_of_a_stream() -> None:
    async def test() -> None:
        async with gateway(silence, max_concurrency=1) as world:
            await fill(world)
            incoming = world.upstream.requests[0]
            incoming.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n")
            await asyncio.sleep(0.05)
            assert (await world.call(world.request())).status == 503
            incoming.send(b"0\r\n\r\n")
            await until(lambda: world.permits == 0)

    run(test())


def models(world: World) -> bytes:
    """A call that is passed through."""
    return b"GET /openai/v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\n\r\n" % world.token.encode()


@pytest.mark.parametrize("limited", [False, True])
def test_both_limits_count_interceptions_only_unless_asked(limited: bool) -> None:
    async def test() -> None:
        async with gateway(silence, max_concurrency=1, limit_passthrough=limited) as world:
            await fill(world)
            client = await world.client()
            await client.send(models(world))
            if limited:
                assert (await client.answer()).status == 503
            else:
                await world.upstream.request(1)
                assert world.permits == 1
            await world.close()
        async with gateway(rate_limit=1, limit_passthrough=limited) as world:
            statuses = [(await world.call(models(world))).status for _ in range(3)]
            assert statuses == ([200, 429, 429] if limited else [200, 200, 200])

    run(test())
