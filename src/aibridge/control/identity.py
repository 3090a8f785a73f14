"""Who asks: the same tokens as for AI calls."""

from starlette.requests import Request

from aibridge.control.dependencies import Dependencies
from aibridge.domain.actor import Actor
from aibridge.domain.errors import RateLimited, Unauthenticated
from aibridge.overload.caller import presented_token

_WHERE = (
    'Send a token of AI Bridge (aib_…) in the header "Authorization: Bearer", "X-Api-Key" or "Coder-Session-Token", '
    'or in the cookie "coder_session_token".'
)


def identify(request: Request, dependencies: Dependencies) -> Actor:
    """The actor whose token the request presents.

    Raises:
        Unauthenticated: there is no token, or it is unknown, revoked or expired.
        RateLimited: the same, and there were too many such attempts from this address.
    """
    try:
        return _actor(request, dependencies)
    except Unauthenticated:
        peer = request.client.host if request.client else ""
        rejection = dependencies.stranger(peer, list(request.headers.raw))
        if rejection is not None:
            raise RateLimited.stranger(rejection) from None
        raise


def _actor(request: Request, dependencies: Dependencies) -> Actor:
    text = presented_token(request.headers.raw, request.scope["query_string"])
    if text is None:
        raise Unauthenticated("No token was presented.", _WHERE)
    actor = dependencies.snapshot().actor_of(text, dependencies.clock())
    if actor is None:
        raise Unauthenticated("The token is not valid.", f"It is unknown, expired or revoked. {_WHERE}")
    return actor
