"""One client's connection: HTTP/1.1 in, answers out, one at a time and in order."""

import asyncio
import socket
import struct
import time
from collections import deque
from functools import partial
from typing import cast

import httptools

from aibridge.demo.calls import Call
from aibridge.demo.exchange import Plan, Request
from aibridge.demo.framing import CLOSE, CONTINUE, JSON, status_line
from aibridge.demo.playback import play
from aibridge.demo.provider import DemoProvider
from aibridge.demo.vendor import OPENAI

REQUEST_LIMIT = 64 * 1024 * 1024
"""Bytes of a request, head and body; twice the largest body a gateway lets through by default."""
PIPELINE_LIMIT = 100
"""Requests that may wait behind the one that is answered."""


class Connection(asyncio.Protocol):
    """Reads requests and has them answered: at once where that is possible, otherwise by a task.

    Reading never pauses, so that a client that leaves is noticed in the same round of the event loop.
    """

    def __init__(self, provider: DemoProvider, connections: set["Connection"]) -> None:
        self._provider = provider
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[bool] | None = None
        self._caught_up: asyncio.Future[None] | None = None
        self._size = 0

    def abort(self) -> None:
        """Cut the connection, and whatever is being answered on it."""
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self._provider.log.open_connections += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The client has left, or we closed."""
        self._connections.discard(self)
        self._provider.log.open_connections -= 1
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._caught_up = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._caught_up is not None:
            self._caught_up.set_result(None)
            self._caught_up = None

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or of several."""
        self._size += len(data)
        if self._size > REQUEST_LIMIT:
            self._refuse(413, f"The request is larger than {REQUEST_LIMIT} bytes.")
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # it has been answered with 426: the parser does not read the body of such a request
        except httptools.HttpParserError as error:
            self._refuse(400, f"This is not HTTP/1.1: {error}")

    # What the parser tells.

    def on_message_begin(self) -> None:
        """A request starts."""
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, whole."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is there; curl waits to be told to go on when the body is large."""
        if self._task is None and (b"expect", b"100-continue") in self._headers:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._size = 0
        target = self._target.decode("latin-1")
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            target=target,
            path=target.partition("?")[0],
            headers=self._headers,
            body=b"".join(self._body),
            keep_alive=self._parser.should_keep_alive(),
            is_upgrade=self._parser.should_upgrade(),
            is_http_1_0=self._parser.get_http_version() == "1.0",
        )
        if self._transport.is_closing():
            return
        if self._task is None:
            self._serve(request)
        elif len(self._waiting) < PIPELINE_LIMIT:
            self._waiting.append(request)
        else:
            self._transport.abort()

    # Answering.

    def _serve(self, request: Request) -> None:
        """Answer a request now, or start the task that does."""
        log, now = self._provider.log, time.time()
        plan = self._provider.plan(request, now)
        call = log.began(request, plan.status, _microseconds(now)) if request.is_call else None
        whole = plan.whole
        if whole is None or self._caught_up is not None:
            self._task = asyncio.get_running_loop().create_task(self._play(plan))
            self._task.add_done_callback(partial(self._played, plan, call))
            return
        self._transport.write(whole)
        if call is not None:
            log.ended(call, _microseconds(now), finished=True)
        self._settle(plan)

    async def _play(self, plan: Plan) -> bool:
        """Answer a request that takes time; cancelled when the client leaves or the server stops."""
        await self.drained()
        return await play(plan, self)

    def _played(self, plan: Plan, call: Call | None, task: asyncio.Task[bool]) -> None:
        """Count the call out. Not a `finally` in `_play`: a task cancelled before its first step never gets there."""
        self._task = None
        finished = not task.cancelled() and task.exception() is None and task.result()
        if call is not None:
            now_us = _microseconds(time.time())
            self._provider.log.ended(call, now_us, finished=finished, client_left=task.cancelled())
        if task.cancelled():
            return
        task.result()  # an error of ours goes to the event loop's log
        self._settle(plan)
        while self._waiting and self._task is None and not self._transport.is_closing():
            self._serve(self._waiting.popleft())

    def _settle(self, plan: Plan) -> None:
        """Keep the connection for the next request, or not."""
        if not plan.keep_alive or plan.behaviour.fault == "close_idle":
            self._transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer what is no request, and close: nothing that follows could be understood."""
        if (
            self._task is not None
        ):  # an earlier answer is under way, and an error in the midst of it would be part of it
            self._transport.abort()
            return
        body = OPENAI.error(status, message, "")
        framing = b"content-length: %d\r\n" % len(body)
        self._transport.write(status_line(status) + JSON + framing + CLOSE + b"\r\n" + body)
        self._transport.close()

    # What `Outlet` asks for.

    def write(self, data: bytes) -> None:
        """See `Outlet`."""
        self._transport.write(data)

    async def drained(self) -> None:
        """See `Outlet`."""
        if self._caught_up is not None:
            await self._caught_up

    def finish(self) -> None:
        """See `Outlet`."""
        self._transport.close()

    def reset(self) -> None:
        """See `Outlet`. A close that may not linger is an RST (socket(7), SO_LINGER)."""
        linger = struct.pack("ii", 1, 0)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)
