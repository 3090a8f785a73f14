"""A process to be killed: writes interceptions and prints the id of each one that was acknowledged.

    ledger_child.py DIRECTORY ROUND [DATABASE]

With a database it also ships. Some interceptions stay open for long and some for ever; segments are short.
"""

import itertools
import sys
import threading
from pathlib import Path

from ledger_samples import NOW, SqliteSink, begin, end

from aibridge.ledger import shipper
from aibridge.ledger.journal import Journal
from aibridge.ledger.shipper import Shipper


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def ship_for_ever(directory: Path, database: Path) -> None:
    shipper.GATHER_SECONDS = 0.005  # type: ignore[misc] # many batches in a short life
    Shipper(directory, SqliteSink(database)).run(threading.Event(), lambda _: None)


def main(directory: Path, prefix: str, database: Path | None) -> None:
    ledger = Journal.open(directory, now=NOW, segment_bytes=60_000)
    if database is not None:
        threading.Thread(target=ship_for_ever, args=(directory, database), daemon=True).start()
    say("ready")
    for count in itertools.count():
        name = f"{prefix}-{count}"
        begin(ledger, name)
        if count % 10 == 0:
            continue  # ends much later, or never
        late = count - 101
        over = (name, f"{prefix}-{late}") if late >= 0 and late % 20 == 0 else (name,)
        if end(ledger, *over):
            say("\n".join(over))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]) if len(sys.argv) > 3 else None)
