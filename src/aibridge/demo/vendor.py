"""What a vendor's answers have in common: headers, the shape of an error, the list of models."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import msgspec

_MODELS = ("demo", "claude-demo", "gpt-demo")
"""Names that are listed; any other is answered too. Claude Code keeps only names with `claude` in them."""
_LISTED_SINCE = 1_735_689_600
_LISTED_SINCE_TEXT = "2025-01-01T00:00:00Z"
_SERVER_ERRORS = 500

encode = msgspec.json.Encoder().encode
HOLE = "\0hole\0"
_HOLE_JSON = encode(HOLE)


def stencil(event: bytes) -> Callable[[str], bytes]:
    """Make many events from one that says `HOLE` where their texts are to stand: four times cheaper than encoding each.

    The last hole is taken, since a client's own words, such as a model's name, stand before it.
    """
    before, _, after = event.rpartition(_HOLE_JSON)
    return lambda text: before + encode(text) + after


class Vendor(Protocol):
    """One vendor's manners. `request_id` is the id that the answer's header carries."""

    def headers(self, request_id: str) -> bytes:
        """Headers of every answer, as lines. A gateway is to strip the cookie and the organization."""
        ...

    def error(self, status: int, message: str, request_id: str) -> bytes:
        """The body of an error."""
        ...

    def models(self) -> bytes:
        """The body of `GET /v1/models`."""
        ...

    def model(self, name: str) -> bytes | None:
        """The body of `GET /v1/models/{name}`, None when no such model is listed."""
        ...


class OpenAI:
    """As on platform.openai.com/docs/api-reference, November 2026."""

    _TYPES: ClassVar = {
        400: ("invalid_request_error", None),
        401: ("invalid_request_error", "invalid_api_key"),
        403: ("invalid_request_error", "unsupported_country_region_territory"),
        404: ("invalid_request_error", "not_found"),
        429: ("requests", "rate_limit_exceeded"),
        503: ("server_error", "server_is_overloaded"),
    }

    def headers(self, request_id: str) -> bytes:
        """See `Vendor`."""
        return (
            f"openai-organization: demo-organization\r\nopenai-version: 2020-10-01\r\nx-request-id: {request_id}\r\n"
            "set-cookie: demo_session=openai; Path=/; HttpOnly\r\n"
        ).encode()

    def error_object(self, status: int, message: str) -> dict[str, Any]:
        """What stands under `error`."""
        kind, code = self._TYPES.get(
            status, ("server_error" if status >= _SERVER_ERRORS else "invalid_request_error", None)
        )
        return {"message": message, "type": kind, "param": None, "code": code}

    def error(self, status: int, message: str, request_id: str) -> bytes:  # noqa: ARG002 - the id is a header only
        """See `Vendor`."""
        return encode({"error": self.error_object(status, message)})

    def models(self) -> bytes:
        """See `Vendor`."""
        return encode({"object": "list", "data": [self._model(name) for name in _MODELS]})

    def model(self, name: str) -> bytes | None:
        """See `Vendor`."""
        return encode(self._model(name)) if name in _MODELS else None

    @staticmethod
    def _model(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": _LISTED_SINCE, "owned_by": "aibridge-demo"}


class Anthropic:
    """As on docs.anthropic.com/en/api, November 2026."""

    _TYPES: ClassVar = {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        504: "timeout_error",
        529: "overloaded_error",
    }

    def headers(self, request_id: str) -> bytes:
        """See `Vendor`."""
        return (
            f"anthropic-organization-id: demo-organization\r\nrequest-id: {request_id}\r\n"
            "set-cookie: demo_session=anthropic; Path=/; HttpOnly\r\n"
        ).encode()

    def error_object(self, status: int, message: str) -> dict[str, Any]:
        """What stands under `error`."""
        fallback = "api_error" if status >= _SERVER_ERRORS else "invalid_request_error"
        return {"type": self._TYPES.get(status, fallback), "message": message}

    def error(self, status: int, message: str, request_id: str) -> bytes:
        """See `Vendor`."""
        return encode({"type": "error", "error": self.error_object(status, message), "request_id": request_id})

    def models(self) -> bytes:
        """See `Vendor`."""
        models = [self._model(name) for name in _MODELS]
        return encode({"data": models, "has_more": False, "first_id": _MODELS[0], "last_id": _MODELS[-1]})

    def model(self, name: str) -> bytes | None:
        """See `Vendor`."""
        return encode(self._model(name)) if name in _MODELS else None

    @staticmethod
    def _model(name: str) -> dict[str, Any]:
        return {"type": "model", "id": name, "display_name": f"Demo ({name})", "created_at": _LISTED_SINCE_TEXT}


OPENAI = OpenAI()
ANTHROPIC = Anthropic()
