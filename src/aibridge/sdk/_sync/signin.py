# Written by `make gen` from `src/aibridge/sdk/_async/signin.py`.
"""Signing in and out."""

from aibridge.contract.signin import AuthMethods, LoginResponse, LoginWithPasswordRequest
from aibridge.sdk._sync.transport import Transport


class SignIn(Transport):
    """Signing in and out."""

    def auth_methods(self) -> AuthMethods:
        """List the ways to sign in."""
        return self.request_without_token("GET", "/api/v2/users/authmethods", response=AuthMethods)

    def login_with_password(self, request: LoginWithPasswordRequest) -> LoginResponse:
        """Sign in by password. Set `session_token` to what comes back, and the client is that user."""
        return self.request_without_token("POST", "/api/v2/users/login", body=request, response=LoginResponse)

    def logout(self) -> None:
        """End the session, or revoke the token, that this is sent with."""
        self.request("POST", "/api/v2/users/logout")
