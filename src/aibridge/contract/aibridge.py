"""The gateway: who called what, within which limits, through which providers."""

import uuid
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from aibridge.contract.endpoint import Access, Needs, Of, both
from aibridge.contract.shapes import Body, Instant, Line, Name, Page, ProviderName, View
from aibridge.domain.interception import Status
from aibridge.domain.permission import Action, Resource
from aibridge.domain.provider import ProviderKind
from aibridge.domain.rule import Mode, Subject, Unit
from aibridge.domain.usage import UsageSource


class InitiatorView(View, frozen=True, kw_only=True):
    """Who called. The name is null when the user is gone."""

    id: str
    username: str | None


class TokenUsageView(View, frozen=True, kw_only=True):
    """What a response used, in tokens; `metadata` holds the provider's further kinds."""

    id: str
    interception_id: str
    provider_response_id: str | None
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    metadata: dict[str, int]
    source: UsageSource
    created_at: Instant


class InterceptionView(View, frozen=True, kw_only=True):
    """One call. What is only known at its end is null while it runs."""

    id: str
    initiator: InitiatorView
    api_key_id: str
    provider: str
    route: str
    model: str
    client: str
    session_id: str | None
    user_agent: str
    streaming: bool
    status: Status | None = None
    http_status: int | None = None
    error: str | None = None
    started_at: Instant
    first_byte_at: Instant | None = None
    ended_at: Instant | None = None
    metadata: dict[str, str] = {}
    token_usages: list[TokenUsageView] = []
    user_prompts: list[str] = []
    tool_usages: list[str] = []


class InterceptionsView(View, frozen=True, kw_only=True):
    """A page, and how many match in all."""

    count: int
    results: list[InterceptionView]


class InterceptionsQuery(Page, frozen=True, kw_only=True):
    """Which calls: by parameters of their own, or all in `q` as `key:value` with quotes around values with spaces.

    `initiator` is an id, a username or `me`.
    """

    q: Annotated[str, msgspec.Meta(max_length=4096)] | None = None
    initiator: Line | None = None
    provider: Line | None = None
    model: Line | None = None
    client: Line | None = None
    started_after: Instant | None = None
    started_before: Instant | None = None


class SubjectUse(View, frozen=True, kw_only=True):
    """How much of a limit one subject uses now, in the limit's unit. `key` is its id, empty for everyone."""

    key: str
    used: float


class LimitView(View, frozen=True, kw_only=True):
    """One rule and its present use.

    `window`, `queue_timeout` are in seconds, `cost` is counted in nano-dollars. `source` is `configuration` for what
    only the server's configuration can change, else `database`. `subjects` are those who use most, the greediest first.
    `decisions` are totals by outcome since the process that answers was started. They and `only`, which names people
    and networks, are null for those who may not read all of the limit.
    """

    name: str
    unit: Unit
    amount: int
    window: float
    burst: int | None
    subject: Subject
    only: tuple[str, ...] | None
    provider: str
    model: str
    mode: Mode
    queue_timeout: float
    queue_size: int
    organization_id: uuid.UUID | None
    source: Literal["configuration", "database"]
    subjects: list[SubjectUse]
    decisions: Mapping[str, int] | None


class LimitsView(View, frozen=True, kw_only=True):
    """All rules, in the order in which they are asked."""

    count: int
    results: list[LimitView]


_Amount = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 1})]


class LimitBody(Body, frozen=True, kw_only=True):
    """What a rule allows.

    At most `amount` of `unit` in `window` seconds, or at one time for the unit `concurrent` (window 0). With
    `mode` `shadow` it refuses nothing and counts what it would have refused. `organization_id` makes it one of that
    organization, for its calls only.
    """

    unit: Unit
    amount: _Amount
    window: float = 0.0
    burst: int | None = None
    subject: Subject = Subject.EVERYONE
    only: Annotated[tuple[str, ...], msgspec.Meta(max_length=1000)] = ()
    provider: str = "*"
    model: str = "*"
    mode: Mode = Mode.ENFORCE
    queue_timeout: float = 0.0
    queue_size: int = 0
    organization_id: uuid.UUID | None = None


class CreateLimitRequest(LimitBody, frozen=True, kw_only=True):
    """A new rule."""

    name: Name


class UpdateLimitRequest(LimitBody, frozen=True, kw_only=True):
    """A rule as it shall be, all of it. Its name and its organization stay."""


class BreakerView(View, frozen=True, kw_only=True):
    """A circuit breaker as it is now.

    `seconds_left` is the time until it lets probes through, 0.0 unless it is open. `calls`, `failures` and `slow` are
    those in its window; `trips` and `rejections` count since the start.
    """

    name: str
    provider: str
    credential: str
    model: str
    state: Literal["closed", "open", "half_open"]
    seconds_left: float
    calls: int
    failures: int
    slow: int
    trips: int
    rejections: int


class BreakersView(View, frozen=True, kw_only=True):
    """All breakers: those of the process that answers."""

    count: int
    results: list[BreakerView]


class ProviderView(View, frozen=True, kw_only=True):
    """A provider. Its key is never shown: `key_hint` has the last four characters, null without a key.

    `source` is `configuration` for what only the server's configuration can change, else `database`. Only an
    `internal` one may be at a private address or without TLS.
    """

    id: str
    name: str
    display_name: str
    kind: ProviderKind
    base_url: str
    enabled: bool
    internal: bool
    key_hint: str | None
    source: Literal["configuration", "database"]
    created_at: Instant | None
    updated_at: Instant | None


class ProvidersResponse(View, frozen=True, kw_only=True):
    """All providers, by name."""

    providers: list[ProviderView]
    count: int


_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, extra_json_schema={"pattern": "^https?://[a-z0-9]+"})]


class CreateProviderRequest(Body, frozen=True, kw_only=True):
    """A new provider. The name stands in the paths of its routes."""

    name: ProviderName
    kind: ProviderKind
    base_url: _Url
    key: _Key | None = None
    display_name: Line = ""
    enabled: bool = True
    internal: bool = False

    def __repr__(self) -> str:
        return f"CreateProviderRequest(name={self.name!r})"


class UpdateProviderRequest(Body, frozen=True, kw_only=True):
    """What becomes of a provider; what is left out stays. `key` null takes the key away."""

    base_url: _Url | msgspec.UnsetType = msgspec.UNSET
    key: _Key | msgspec.UnsetType | None = msgspec.UNSET
    display_name: Line | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    internal: bool | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return "UpdateProviderRequest()"


ENDPOINTS = (
    both(
        operation="interceptions",
        method="GET",
        path="/interceptions",
        summary="List calls, the newest first.",
        needs=Needs(action=Action.READ, resource=Resource.INTERCEPTION, of=Of.VISIBLE),
        query=InterceptionsQuery,
        response=InterceptionsView,
    ),
    both(
        operation="limits",
        method="GET",
        path="/limits",
        summary="List the limits and how much of them is used.",
        needs=Access.SIGNED_IN,
        response=LimitsView,
    ),
    both(
        operation="watch_limits",
        method="GET",
        path="/limits/watch",
        summary="Follow the limits: server-sent events, each all of them.",
        needs=Access.SIGNED_IN,
        response=LimitsView,
        media_type="text/event-stream",
    ),
    both(
        operation="create_limit",
        method="POST",
        path="/limits",
        summary="Make a limit.",
        needs=Needs(action=Action.CREATE, resource=Resource.LIMIT, of=Of.BODY),
        body=CreateLimitRequest,
        response=LimitView,
        status=201,
        errors=(404, 409),
    ),
    both(
        operation="limit",
        method="GET",
        path="/limits/{limit}",
        summary="Show a limit.",
        needs=Access.SIGNED_IN,
        response=LimitView,
        errors=(404,),
    ),
    both(
        operation="update_limit",
        method="PUT",
        path="/limits/{limit}",
        summary="Change a limit.",
        needs=Needs(action=Action.UPDATE, resource=Resource.LIMIT),
        body=UpdateLimitRequest,
        response=LimitView,
        errors=(409,),
    ),
    both(
        operation="delete_limit",
        method="DELETE",
        path="/limits/{limit}",
        summary="Delete a limit.",
        needs=Needs(action=Action.DELETE, resource=Resource.LIMIT),
        status=204,
        errors=(409,),
    ),
    both(
        operation="breakers",
        method="GET",
        path="/breakers",
        summary="List the circuit breakers.",
        needs=Access.SIGNED_IN,
        response=BreakersView,
    ),
    both(
        operation="reset_breaker",
        method="POST",
        path="/breakers/{breaker:path}/reset",
        summary="Close a circuit breaker.",
        needs=Needs(action=Action.UPDATE, resource=Resource.PROVIDER),
        status=204,
    ),
    both(
        operation="providers",
        method="GET",
        path="/providers",
        summary="List the providers.",
        needs=Needs(action=Action.READ, resource=Resource.PROVIDER),
        response=ProvidersResponse,
    ),
    both(
        operation="create_provider",
        method="POST",
        path="/providers",
        summary="Make a provider.",
        needs=Needs(action=Action.CREATE, resource=Resource.PROVIDER),
        body=CreateProviderRequest,
        response=ProviderView,
        status=201,
        errors=(409,),
    ),
    both(
        operation="provider",
        method="GET",
        path="/providers/{provider}",
        summary="Show a provider, by id or name.",
        needs=Needs(action=Action.READ, resource=Resource.PROVIDER),
        response=ProviderView,
    ),
    both(
        operation="update_provider",
        method="PATCH",
        path="/providers/{provider}",
        summary="Change a provider.",
        needs=Needs(action=Action.UPDATE, resource=Resource.PROVIDER),
        body=UpdateProviderRequest,
        response=ProviderView,
        errors=(409,),
    ),
    both(
        operation="delete_provider",
        method="DELETE",
        path="/providers/{provider}",
        summary="Delete a provider.",
        needs=Needs(action=Action.DELETE, resource=Resource.PROVIDER),
        status=204,
        errors=(409,),
    ),
)
