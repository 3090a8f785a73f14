"""How long a provider may take."""

import msgspec


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """In seconds: to accept a connection, to begin its answer, between two reads of it, and for a call as a whole."""

    connect: float = 5.0
    first_byte: float = 120.0
    idle: float = 120.0
    total: float = 600.0
