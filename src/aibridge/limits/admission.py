"""What a call holds while it is in progress."""

import msgspec

from aibridge.limits.counts import Held
from aibridge.limits.estimate import Size
from aibridge.limits.line import Line


class Admission(msgspec.Struct, frozen=True, gc=False):
    """From `admit` to `close`; `held` is None where no rule applies.

    `lines` are the rules it was admitted by, one for each of the asks that are held: it is closed by these, whatever
    they have become. `size` is by what some of them were weighed; None where none was.
    """

    held: Held | None
    lines: tuple[Line, ...] = ()
    size: Size | None = None
