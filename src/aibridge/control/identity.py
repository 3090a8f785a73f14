"""Who asks: the same tokens as for AI calls.

Clients and browsers fill several places at once, some with what is meant for others: a cookie that has expired, a key
of a provider. Whichever holds a token of ours counts.
"""

from collections.abc import Iterator

from starlette.requests import Request

from aibridge.control import csrf
from aibridge.control.caller import Caller
from aibridge.control.dependencies import Dependencies
from aibridge.domain.errors import RateLimited, Unauthenticated
from aibridge.overload.caller import presented_token

_WHERE = (
    'Send a token of AI Bridge (aib_…) in the header "Authorization: Bearer", "X-Api-Key" or "Coder-Session-Token", '
    'or in the cookie "coder_session_token".'
)


def identify(request: Request, dependencies: Dependencies) -> Caller:
    """Whoever's token the request presents.

    Raises:
        Unauthenticated: there is no token, or it is unknown, revoked or expired.
        RateLimited: the same, and there were too many such attempts from this address.
    """
    try:
        return _caller(request, dependencies)
    except Unauthenticated:
        peer = request.client.host if request.client else ""
        rejection = dependencies.stranger(peer, list(request.headers.raw))
        if rejection is not None:
            raise RateLimited.stranger(rejection) from None
        raise


def _caller(request: Request, dependencies: Dependencies) -> Caller:
    known, now = dependencies.snapshot(), dependencies.clock()
    presented = dict.fromkeys(_presented(request))
    for text in presented:
        token = known.token_of(text, now)
        if token is not None:
            dependencies.used(token.actor.token_id)
            return Caller(actor=token.actor, subject=token.subject, by_cookie=_by_cookie(request, text))
    if presented:
        raise Unauthenticated("The token is not valid.", f"It is unknown, expired or revoked. {_WHERE}")
    raise Unauthenticated("No token was presented.", _WHERE)


def _by_cookie(request: Request, token: str) -> bool:
    return csrf.by_cookie(token, request.headers.raw, request.scope["query_string"])


def _presented(request: Request) -> Iterator[str]:
    """What may be a token: first by the order in which places count, then what each holds by itself."""
    headers, query = request.headers.raw, request.scope["query_string"]
    by_name: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for header in headers:
        by_name.setdefault(header[0], []).append(header)
    places = [(headers, query), ([], query), *((named, b"") for named in by_name.values())]
    return filter(None, (presented_token(*place) for place in places))
