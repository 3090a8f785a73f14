"""How long one call takes when it is alone: over a kept connection, one after another."""

import re
import socket
from time import perf_counter

from bench import MeasurementError
from bench.conversation import ANSWER, QUESTION, request

BLOCK = 50
"""Calls to one target before the next one's turn."""
_TIMEOUT = 10.0
_SUCCESS = re.compile(rb"HTTP/1\.1 200 ")


class Caller:
    """A client with one connection, as bare as can be: what it costs is in every figure."""

    def __init__(self, address: str, credential: str) -> None:
        host, _, port = address.partition(":")
        self._address = address
        self._call = request(address, credential, QUESTION)
        self._socket = socket.create_connection((host, int(port)), _TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self) -> float:
        """Call once; give the seconds until the answer was whole.

        Raises:
            MeasurementError: it was not the answer that the upstream gives.
        """
        started = perf_counter()
        self._socket.sendall(self._call)
        received = b""
        while not received.endswith(ANSWER):
            part = self._socket.recv(65536)
            received += part
            if not part or not _SUCCESS.match(received):
                raise MeasurementError(f"{self._address} answered {received[:200]!r}")
        return perf_counter() - started

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def calls_made(calls: int) -> int:
    """How many calls `measure` makes to each target, those included that only warm up."""
    return (1 + calls // BLOCK) * BLOCK


def measure(targets: dict[str, tuple[str, str]], calls: int) -> dict[str, list[float]]:
    """The seconds of each of so many calls, a multiple of BLOCK, to each target: an address and a credential.

    A block of calls to one is followed by a block to the next, so that all of them see the same moods of the machine.
    The first block only warms up.
    """
    callers = {name: Caller(*target) for name, target in targets.items()}
    taken: dict[str, list[float]] = {name: [] for name in callers}
    try:
        for number in range(1 + calls // BLOCK):
            for name, caller in callers.items():
                times = [caller.call() for _ in range(BLOCK)]
                if number:
                    taken[name] += times
    finally:
        for caller in callers.values():
            caller.close()
    return taken
