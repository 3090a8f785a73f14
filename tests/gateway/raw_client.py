"""A client that sends the bytes it is given and reads answers to the byte."""

import asyncio
import contextlib
import json
import socket
import struct
from typing import Any, Self

import msgspec


class Answer(msgspec.Struct):
    """One answer. `raw` is all of it; `whole` tells whether its framing was completed."""

    raw: bytes
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool
    interim: list[bytes]

    def values(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.headers if found == name]

    def value(self, name: bytes) -> bytes | None:
        found = self.values(name)
        assert len(found) < 2, f"{name!r} came more than once: {found}"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, *, receive_buffer: int | None = None) -> Self:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        limit = 1 << 22 if receive_buffer is None else 1 << 12
        return cls(*await asyncio.open_connection(sock=sock, limit=limit))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def call(self, request: bytes) -> Answer:
        await self.send(request)
        return await self.answer()

    async def answer(self) -> Answer:
        """Read one answer, and the informational ones before it."""
        interim = []
        while True:
            head = await self.reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            if status >= 200:
                break
            interim.append(head)
        headers = [
            (name.lower(), value.strip())
            for name, _, value in (line.partition(b":") for line in head[:-4].split(b"\r\n")[1:])
        ]
        framing = dict(headers)
        raw, whole, body = bytearray(head), True, bytearray()
        try:
            if framing.get(b"transfer-encoding") == b"chunked":
                await self._chunks(raw, body)
            elif b"content-length" in framing:
                await self._exactly(int(framing[b"content-length"]), raw, body)
            elif status not in {204, 304}:
                await self._until_close(raw, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            whole = False
        return Answer(bytes(raw), status, headers, bytes(body), whole, interim)

    async def rest(self) -> bytes:
        """Everything until the connection is closed; a reset counts as a close."""
        raw, body = bytearray(), bytearray()
        with contextlib.suppress(ConnectionError):
            await self._until_close(raw, body)
        return bytes(raw)

    def hang_up(self) -> None:
        """Leave with a FIN."""
        self.writer.close()

    def reset(self) -> None:
        """Leave with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def _exactly(self, count: int, raw: bytearray, body: bytearray) -> None:
        try:
            part = await self.reader.readexactly(count)
        except asyncio.IncompleteReadError as error:
            raw += error.partial
            body += error.partial
            raise
        raw += part
        body += part

    async def _chunks(self, raw: bytearray, body: bytearray) -> None:
        while True:
            line = await self.reader.readuntil(b"\r\n")
            raw += line
            size = int(line, 16)
            await self._exactly(size, raw, body)
            raw += await self.reader.readexactly(2)
            if not size:
                return

    async def _until_close(self, raw: bytearray, body: bytearray) -> None:
        while part := await self.reader.read(1 << 16):
            raw += part
            body += part
