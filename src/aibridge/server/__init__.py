"""The composition root: builds every room, starts them in order, and stops them in the reverse.

The only room that knows all others. It decides which parts there are; what they do is theirs.
"""

from aibridge.server.run import run

__all__ = ["run"]
