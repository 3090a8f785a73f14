"""Signing in and out."""

from aibridge.contract.signin import AuthMethods, LoginResponse, LoginWithPasswordRequest
from aibridge.sdk._async.transport import AsyncTransport


class AsyncSignIn(AsyncTransport):
    """Signing in and out."""

    async def auth_methods(self) -> AuthMethods:
        """List the ways to sign in."""
        return await self.request_without_token("GET", "/api/v2/users/authmethods", response=AuthMethods)

    async def login_with_password(self, request: LoginWithPasswordRequest) -> LoginResponse:
        """Sign in by password. Set `session_token` to what comes back, and the client is that user."""
        return await self.request_without_token("POST", "/api/v2/users/login", body=request, response=LoginResponse)

    async def logout(self) -> None:
        """End the session, or revoke the token, that this is sent with."""
        await self.request("POST", "/api/v2/users/logout")
