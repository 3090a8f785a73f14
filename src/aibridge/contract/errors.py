"""The body of every error: `{message, detail, validations: [{field, detail}]}`."""

import msgspec


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one part of a request."""

    field: str
    detail: str


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong: one line for people, what helps to act on it, and every part of the request that is wrong."""

    message: str
    detail: str = ""
    validations: list[Validation] = []
