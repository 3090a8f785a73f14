"""The process that ships the ledger: `python -m aibridge.shipping`, started by the server and of no use to people.

A process of its own, because a thread would take the interpreter from the event loop for up to 5 ms at a time.

    stdin     one line, an `Order`; its end, which the server's death brings about as well, means: ship the rest and end
    stdout    lines of `Progress`
    stderr    the log
    exit      0 when everything was shipped
"""

import contextlib
import fcntl
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from aibridge.ledger.shipper import Progress, Shipper
from aibridge.store import sqlite
from aibridge.store.database import Database, DatabaseTooNew, DatabaseUnavailable
from aibridge.store.sink import LedgerSink

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""For people; the server's lines are the same."""
SECONDS_TO_END: Final = 4.0
"""How long the shipping may go on after the order to end; what is left is shipped by the next start."""
_STDIN: Final = 0
_STDOUT: Final = 1
_ALLOCATIONS: Final = 100_000
"""Between two looks for garbage: more than a batch has. The default, 700, was a tenth of what shipping costs."""

_log = logging.getLogger("aibridge")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to ship, and where to. It comes through a pipe, since the database's URL may hold a password."""

    directory: str
    database: str


def main() -> int:
    """Ship until stdin ends; answer the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they reach the whole group, and when to end is for the server to say
    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT)
    _log.setLevel(logging.INFO)
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)
    sqlite.without_locks()  # this thread is the only one that speaks to it
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    stopping = threading.Event()
    threading.Thread(target=_await_the_end, args=(stopping,), daemon=True).start()
    directory = Path(order.directory)
    try:
        with _alone_in(directory), contextlib.closing(Database.open(order.database)) as database:
            return 0 if Shipper(directory, LedgerSink(database)).run(stopping, _tell) else 1
    except (DatabaseTooNew, DatabaseUnavailable, ValueError, OSError) as problem:
        _log.error("the ledger's records wait in %s: %s", directory, problem)
        return 1


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Wait until no other process ships this directory: a killed server's may still be at its last batch."""
    descriptor = os.open(directory / "shipper.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _await_the_end(stopping: threading.Event) -> None:
    while os.read(_STDIN, 1024):
        pass
    stopping.set()
    time.sleep(SECONDS_TO_END)
    os._exit(1)  # wherever the shipping is: a batch that is cut off here is one that a crash cuts off


def _tell(progress: Progress) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody is left to listen; stdin says the same
        os.write(_STDOUT, msgspec.json.encode(progress) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
