"""The client of the API, for threads and for asyncio, and what it raises.

    with Client("https://bridge.example", session_token=token) as client:
        print(client.user("me").username)

Nothing is asked twice unless `retries` says so, no redirect is followed, and the token goes to that server only.
"""

from aibridge.sdk._async.client import AsyncClient
from aibridge.sdk._error import Error, is_connection_error
from aibridge.sdk._sync.client import Client
from aibridge.sdk._token import FixedSessionToken, SessionTokenProvider

__all__ = [
    "AsyncClient",
    "Client",
    "Error",
    "FixedSessionToken",
    "SessionTokenProvider",
    "is_connection_error",
]
