# Written by `make gen` from `src/aibridge/sdk/_async/apikeys.py`.
"""Tokens: what programs present to the gateway."""

from aibridge.contract.apikeys import APIKey, APIKeysResponse, CreateTokenRequest, GeneratedToken, RotateTokenRequest
from aibridge.sdk._request import at
from aibridge.sdk._sync.transport import Transport


class APIKeys(Transport):
    """Tokens: what programs present to the gateway."""

    def tokens(
        self,
        user: str,
        *,
        include_expired: bool = False,
        limit: int | None = None,
        offset: int | None = None,
        after_id: str | None = None,
    ) -> APIKeysResponse:
        """List the tokens of a user."""
        return self.request(
            "GET",
            at("/api/v2/users/{user}/keys/tokens", user=user),
            query={"include_expired": include_expired, "limit": limit, "offset": offset, "after_id": after_id},
            response=APIKeysResponse,
        )

    def create_token(self, user: str, request: CreateTokenRequest) -> GeneratedToken:
        """Make a token."""
        return self.request(
            "POST", at("/api/v2/users/{user}/keys/tokens", user=user), body=request, response=GeneratedToken
        )

    def api_key_by_name(self, user: str, token_name: str) -> APIKey:
        """Show a token in force, by its name."""
        return self.request(
            "GET",
            at("/api/v2/users/{user}/keys/tokens/{token_name}", user=user, token_name=token_name),
            response=APIKey,
        )

    def api_key(self, user: str, key: str) -> APIKey:
        """Show a token."""
        return self.request("GET", at("/api/v2/users/{user}/keys/{key}", user=user, key=key), response=APIKey)

    def delete_api_key(self, user: str, key: str) -> None:
        """Revoke a token, for good."""
        self.request("DELETE", at("/api/v2/users/{user}/keys/{key}", user=user, key=key))

    def rotate_token(self, user: str, key: str, request: RotateTokenRequest) -> GeneratedToken:
        """Replace a token by a new one with the same bounds."""
        return self.request(
            "POST",
            at("/api/v2/users/{user}/keys/{key}/rotate", user=user, key=key),
            body=request,
            response=GeneratedToken,
        )
