"""Tokens: what programs present to the gateway."""

from aibridge.contract.apikeys import APIKey, APIKeysResponse, CreateTokenRequest, GeneratedToken, RotateTokenRequest
from aibridge.sdk._async.transport import AsyncTransport
from aibridge.sdk._request import at


class AsyncAPIKeys(AsyncTransport):
    """Tokens: what programs present to the gateway."""

    async def tokens(
        self,
        user: str,
        *,
        include_expired: bool = False,
        limit: int | None = None,
        offset: int | None = None,
        after_id: str | None = None,
    ) -> APIKeysResponse:
        """List the tokens of a user."""
        return await self.request(
            "GET",
            at("/api/v2/users/{user}/keys/tokens", user=user),
            query={"include_expired": include_expired, "limit": limit, "offset": offset, "after_id": after_id},
            response=APIKeysResponse,
        )

    async def create_token(self, user: str, request: CreateTokenRequest) -> GeneratedToken:
        """Make a token."""
        return await self.request(
            "POST", at("/api/v2/users/{user}/keys/tokens", user=user), body=request, response=GeneratedToken
        )

    async def api_key_by_name(self, user: str, token_name: str) -> APIKey:
        """Show a token in force, by its name."""
        return await self.request(
            "GET",
            at("/api/v2/users/{user}/keys/tokens/{token_name}", user=user, token_name=token_name),
            response=APIKey,
        )

    async def api_key(self, user: str, key: str) -> APIKey:
        """Show a token."""
        return await self.request("GET", at("/api/v2/users/{user}/keys/{key}", user=user, key=key), response=APIKey)

    async def delete_api_key(self, user: str, key: str) -> None:
        """Revoke a token, for good."""
        await self.request("DELETE", at("/api/v2/users/{user}/keys/{key}", user=user, key=key))

    async def rotate_token(self, user: str, key: str, request: RotateTokenRequest) -> GeneratedToken:
        """Replace a token by a new one with the same bounds."""
        return await self.request(
            "POST",
            at("/api/v2/users/{user}/keys/{key}/rotate", user=user, key=key),
            body=request,
            response=GeneratedToken,
        )
