"""Users, and signing in and out."""

from aibridge.contract.signin import AuthMethods, LoginResponse, LoginWithPasswordRequest, OIDCMethod, PasswordMethod
from aibridge.contract.users import (
    CreateUserRequest,
    UpdateRolesRequest,
    UpdateUserPasswordRequest,
    UpdateUserProfileRequest,
    User,
    UserRoles,
    UsersResponse,
)
from aibridge.contract.words import LoginType, UserStatus
from aibridge.sdk._async.signin import AsyncSignIn
from aibridge.sdk._async.users import AsyncUsers
from aibridge.sdk._sync.signin import SignIn
from aibridge.sdk._sync.users import Users

__all__ = [
    "AsyncSignIn",
    "AsyncUsers",
    "AuthMethods",
    "CreateUserRequest",
    "LoginResponse",
    "LoginType",
    "LoginWithPasswordRequest",
    "OIDCMethod",
    "PasswordMethod",
    "SignIn",
    "UpdateRolesRequest",
    "UpdateUserPasswordRequest",
    "UpdateUserProfileRequest",
    "User",
    "UserRoles",
    "UserStatus",
    "Users",
    "UsersResponse",
]
