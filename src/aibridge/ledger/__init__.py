"""The ledger: every interception is written down on this machine first, and in the database soon after.

    gateway ── begin, end ──► Turn ──► Journal ── segment files ──► Shipper ── batches ──► Sink (the store)
                                            └── GroupCommit: fdatasync in the background

May import `domain`, msgspec and the standard library; never `store` or anything that speaks SQL. The data plane uses
`Turn` and `Journal`, which never wait for the disk; `GroupCommit` has a thread of its own, and `Shipper` runs in
another process.

What it promises:

* When `Journal.write` has returned true, the endings are in the kernel: written, so they survive any death of the
  process, `kill -9` included. `Turn` calls it before the last byte of each of their responses.
* It is on the disk (fdatasync) within the group-commit interval, at most 5 ms or 100 records, plus the time the disk
  itself takes. A power failure can lose at most what was written in that interval.
* Nothing acknowledged is lost and nothing is doubled: the shipper repeats a batch when in doubt, and the sink knows a
  record by its id.
* An interception that began and never ended is closed as `interrupted` when the journal is opened again.
* A database that is away is felt by nobody: the records wait in the segment files.
* A disk that refuses is said at once (`Journal.healthy`), acknowledges nothing, and damages nothing: when it returns,
  everything is written in order.

Damage on the disk costs the records of the line that it hits, at most 64 of one turn of the loop, and no other.
"""
