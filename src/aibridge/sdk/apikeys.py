"""Tokens: what programs present to the gateway."""

from aibridge.contract.apikeys import APIKey, APIKeysResponse, CreateTokenRequest, GeneratedToken, RotateTokenRequest
from aibridge.contract.words import Priority
from aibridge.sdk._async.apikeys import AsyncAPIKeys
from aibridge.sdk._sync.apikeys import APIKeys

__all__ = [
    "APIKey",
    "APIKeys",
    "APIKeysResponse",
    "AsyncAPIKeys",
    "CreateTokenRequest",
    "GeneratedToken",
    "Priority",
    "RotateTokenRequest",
]
