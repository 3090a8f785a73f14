"""A process to be killed: writes interceptions and prints the id of each one that was acknowledged.

    ledger_child.py DIRECTORY ROUND [DATABASE]

With a database it also ships. Some interceptions stay open for long and some for ever; segments are short.
"""

import itertools
import sys
from pathlib import Path

from ledger_samples import NOW, SqliteSink, ending, interception

from aibridge.ledger.journal import Journal
from aibridge.ledger.shipper import Shipper


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(directory: Path, prefix: str, database: Path | None) -> None:
    ship = None if database is None else Shipper(directory, SqliteSink(database))
    ledger = Journal.open(
        directory, now=NOW, segment_bytes=60_000, notify=(lambda _: None) if ship is None else ship.notify
    )
    if ship is not None:
        ship.start()
    say("ready")
    for count in itertools.count():
        name = f"{prefix}-{count}"
        ledger.begin(interception(name))
        if count % 10 == 0:
            continue  # ends much later, or never
        late = count - 101
        for over in (name, f"{prefix}-{late}") if late >= 0 and late % 20 == 0 else (name,):
            if ledger.end(ending(over)):
                say(over)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]) if len(sys.argv) > 3 else None)
