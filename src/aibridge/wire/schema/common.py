"""What looks the same in all protocols, or in several: the types of fields, requests, errors."""

from typing import Annotated, TypeAlias

import msgspec

LARGEST_COUNT = 2**53
"""The largest integer that every JSON reader holds exactly (RFC 8259, section 6); a larger count is absurd."""

LONGEST_COUNT = 15
"""Digits of a count that is certainly below the largest."""

LONGEST_IDENTIFIER = 256

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_COUNT)] | None
"""A number of tokens in an answer. JSON's true is not 1, and 1.0 is none."""

MaxTokens: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=10**LONGEST_COUNT - 1)] | None
"""The most tokens a caller wants."""

Identifier: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_IDENTIFIER)] | None
"""A provider's name for something; an empty or overlong one is none."""

Text: TypeAlias = str | None

Junk = int | float | str | bool | list[msgspec.Raw] | None
"""What may stand where an object is expected."""


class Body(msgspec.Struct, frozen=True, gc=False):
    """What every protocol's request has. Null means the default, as the vendors' own references have it."""

    model: str
    stream: bool | None = None


class UnjudgedBody(msgspec.Struct, frozen=True, gc=False):
    """The fields of requests that have rules, undecoded: what is looked at to explain a refusal."""

    model: msgspec.Raw = msgspec.Raw()
    stream: msgspec.Raw = msgspec.Raw()
    background: msgspec.Raw = msgspec.Raw()


class ProviderError(msgspec.Struct, frozen=True, gc=False):
    """The `error` object of either vendor family; `type` and `code` are what programs may rely on."""

    type: Text = None
    code: Text = None
