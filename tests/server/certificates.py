"""Certificates of an authority made for one test, and a provider that is reached by TLS alone."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import trustme
from clients.running import PATIENCE

_READ = 1 << 16


class Authority:
    """A certificate authority that signs for this machine; its files lie in `place`."""

    def __init__(self, place: Path) -> None:
        ca = trustme.CA()
        issued = ca.issue_cert("127.0.0.1", "localhost")
        self.certificate, self.key, self.root = place / "cert.pem", place / "key.pem", place / "root.pem"
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)
        ca.cert_pem.write_to_path(self.root)

    def trusted(self) -> ssl.SSLContext:
        """What a client needs that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.root))

    def serving(self) -> ssl.SSLContext:
        """What a server needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def flags(self) -> tuple[str, ...]:
        """The options of a server that has this certificate."""
        return "--tls-cert-file", str(self.certificate), "--tls-key-file", str(self.key)


@contextmanager
def terminator(url: str, tls: ssl.SSLContext) -> Iterator[str]:
    """Accept TLS and pass on what comes to `url` in plain; the https URL."""
    where = urlsplit(url)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_behind = await asyncio.open_connection(where.hostname, where.port)
        await asyncio.gather(_pass(reader, to_behind), _pass(behind, writer), return_exceptions=True)

    loop = asyncio.new_event_loop()
    with closing(loop):
        server = loop.run_until_complete(asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(PATIENCE)
            loop.run_until_complete(_ended(server))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until there are no more, and then their end."""
    with closing(writer):
        while part := await reader.read(_READ):
            writer.write(part)
            await writer.drain()


async def _ended(server: asyncio.Server) -> None:
    """Close a server and all that it accepted."""
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
