"""What an event stream consists of."""

import msgspec


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event: its name (empty when it has none) and its data lines, joined by LF."""

    name: bytes
    data: bytes
