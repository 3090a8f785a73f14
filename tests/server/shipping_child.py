"""A server to be killed: writes interceptions, ships them with a child of its own, prints what was acknowledged.

shipping_child.py DIRECTORY DATABASE PREFIX
"""

import asyncio
import itertools
import sys
from pathlib import Path

import uvloop

from aibridge.ledger.journal import Journal
from aibridge.server.shipping import Shipping
from server.shipping_samples import NOW, ending, interception


async def main(directory: Path, database: str, prefix: str) -> None:
    shipping = Shipping(directory, database)
    journal = Journal.open(directory, now=NOW, segment_bytes=200_000, notify=shipping.notify)
    shipping.start()
    for count in itertools.count():
        name = f"{prefix}-{count:06}"
        journal.write([interception(name)], [])
        if count % 7 and journal.write([], [ending(name)]):
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
        if count % 20 == 0:
            await asyncio.sleep(0.005)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
