"""What the stand-in of the server answers with."""

import uuid
from datetime import UTC, datetime

from aibridge.contract.aibridge import (
    InitiatorView,
    InterceptionView,
    LimitView,
    ProviderView,
    SubjectUse,
    TokenUsageView,
)
from aibridge.contract.apikeys import APIKey
from aibridge.contract.audit import AuditLog
from aibridge.contract.groups import Group, GroupMember
from aibridge.contract.organizations import Organization, OrganizationMember
from aibridge.contract.roles import AssignableRole
from aibridge.contract.users import User
from aibridge.domain.interception import Status
from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.permission import Action, Permission, Resource
from aibridge.domain.priority import Priority
from aibridge.domain.provider import ProviderKind
from aibridge.domain.role import RoleIdentifier
from aibridge.domain.rule import Mode, Subject, Unit
from aibridge.domain.usage import UsageSource
from aibridge.domain.user import LoginType, UserStatus

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LAB = uuid.UUID("11111111-2222-4333-8444-555555555555")


def user(username: str = "ada") -> User:
    return User(
        id=f"id-of-{username}",
        username=username,
        email=f"{username}@example.com",
        name=username.title(),
        status=UserStatus.ACTIVE,
        login_type=LoginType.PASSWORD,
        roles=[RoleIdentifier("auditor"), RoleIdentifier("owner")],
        organization_ids=[DEFAULT_ORGANIZATION],
        service_account_of=None,
        created_at=AT,
        updated_at=AT,
        last_seen_at=None,
    )


def organization(name: str = "lab") -> Organization:
    return Organization(
        id=LAB,
        name=name,
        display_name="The Lab",
        description="",
        icon="",
        is_default=False,
        created_at=AT,
        updated_at=AT,
    )


def member(username: str = "ben") -> OrganizationMember:
    return OrganizationMember(
        organization_id=LAB,
        user_id=f"id-of-{username}",
        username=username,
        name="",
        email=None,
        roles=[RoleIdentifier("organization-admin", LAB)],
        created_at=AT,
        updated_at=AT,
    )


def role(name: str = "reader") -> AssignableRole:
    return AssignableRole(
        name=RoleIdentifier(name, LAB),
        display_name="Reader",
        assignable=True,
        built_in=False,
        organization_permissions=[
            Permission(resource=Resource.GROUP, action=Action.READ),
            Permission(resource=Resource.GROUP, action=Action.DELETE, negate=True),
        ],
    )


def group(name: str = "night-shift", group_id: str = "aaaaaaaa-2222-4333-8444-555555555555") -> Group:
    return Group(
        id=group_id,
        organization_id=LAB,
        name=name,
        display_name="",
        source="user",
        members=[GroupMember(id="id-of-ada", username="ada"), GroupMember(id="id-of-ben", username="ben")],
        created_at=AT,
        updated_at=AT,
    )


def token(key: str = "0123456789", name: str = "laptop") -> APIKey:
    return APIKey(
        id=key,
        user_id="id-of-ada",
        username="ada",
        organization_id=DEFAULT_ORGANIZATION,
        token_name=name,
        login_type="token",
        last_four="wxyz",
        scopes=["all"],
        allow_list=None,
        priority=Priority.BATCH,
        created_by=None,
        parent_id=None,
        replaced_by=None,
        created_at=AT,
        expires_at=AT,
        last_used=None,
        revoked_at=None,
    )


def provider(name: str = "openai") -> ProviderView:
    return ProviderView(
        id=f"id-of-{name}",
        name=name,
        display_name="",
        kind=ProviderKind.OPENAI,
        base_url="https://api.openai.com/v1",
        enabled=True,
        internal=False,
        key_hint="wxyz",
        source="database",
        created_at=AT,
        updated_at=AT,
    )


def limit(name: str = "budget", unit: Unit = Unit.COST, only: tuple[str, ...] | None = ("ci-*",)) -> LimitView:
    return LimitView(
        name=name,
        unit=unit,
        amount=12_500_000_000 if unit is Unit.COST else 8,
        window=0.0 if unit is Unit.CONCURRENT else 60.0,
        burst=None,
        subject=Subject.USER,
        only=only,
        provider="*",
        model="claude-*",
        mode=Mode.SHADOW,
        queue_timeout=0.0,
        queue_size=0,
        organization_id=None,
        source="database",
        subjects=[SubjectUse(key="ada", used=2_250_000_000.0 if unit is Unit.COST else 3.0)],
        decisions={"admitted": 7},
    )


def call(number: int, *, ended: bool = True) -> InterceptionView:
    usage = [
        TokenUsageView(
            id=f"use-{part}",
            interception_id=f"call-{number}",
            provider_response_id=None,
            input_tokens=11,
            output_tokens=22,
            cache_read_input_tokens=0,
            cache_write_input_tokens=0,
            metadata={},
            source=UsageSource.PROVIDER,
            created_at=AT,
        )
        for part in range(2)
    ]
    return InterceptionView(
        id=f"call-{number}",
        initiator=InitiatorView(id="id-of-ada", username="ada" if ended else None),
        api_key_id="0123456789",
        provider="openai",
        route="/v1/responses",
        model=f"model-{number}",
        client="Claude Code",
        session_id=None,
        user_agent="x",
        streaming=True,
        status=Status.COMPLETED if ended else None,
        http_status=200 if ended else None,
        started_at=AT,
        token_usages=usage if ended else [],
    )


def change(number: int) -> AuditLog:
    return AuditLog(
        number=number,
        time=AT,
        actor_id="id-of-ada",
        actor_name="ada",
        token_id=None,
        action="create",
        resource="user",
        resource_id="id-of-ben",
        resource_name="ben",
        organization_id=None,
        before=None,
        after={"username": "ben"},
        address="127.0.0.1",
        user_agent="x",
        digest="00",
    )
