"""The deployment itself: its version, looks, options and use."""

from typing import Annotated, Any

import msgspec

from aibridge.contract.endpoint import Access, Endpoint, Needs
from aibridge.contract.shapes import Body, Line, Parameters, View
from aibridge.domain.permission import Action, Resource


class BuildInfoResponse(View, frozen=True, kw_only=True):
    """Where people reach this deployment, and what it runs."""

    external_url: str
    version: str

    @property
    def canonical_version(self) -> str:
        """The version without build metadata (Semantic Versioning 2.0.0, 10)."""
        return self.version.partition("+")[0]


class ServiceBanner(Body, frozen=True, kw_only=True):
    """A line above every page. The colour is `#` and six hexadecimal digits."""

    enabled: bool = False
    message: Annotated[str, msgspec.Meta(max_length=512)] = ""
    background_color: Annotated[str, msgspec.Meta(pattern=r"^(#[0-9a-fA-F]{6})?$")] = ""


class SupportLink(Body, frozen=True, kw_only=True):
    """Where people find help."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    target: Annotated[str, msgspec.Meta(pattern=r"^(https?://|mailto:)[^\s]+$", max_length=1024)]
    icon: Line = ""


class AppearanceConfig(Body, frozen=True, kw_only=True):
    """How the pages look."""

    application_name: Annotated[str, msgspec.Meta(max_length=64)] = ""
    logo_url: Annotated[str, msgspec.Meta(pattern=r"^((https?://|/)[^\s]*)?$", max_length=1024)] = ""
    service_banner: ServiceBanner = ServiceBanner()
    support_links: Annotated[list[SupportLink], msgspec.Meta(max_length=20)] = []


class Feature(View, frozen=True, kw_only=True):
    """Whether something may be used and is. `limit` and `actual` are null where nothing is counted."""

    entitlement: str
    enabled: bool
    limit: int | None = None
    actual: int | None = None


class Entitlements(View, frozen=True, kw_only=True):
    """What this deployment may use: everything, since there is no licence to buy."""

    features: dict[str, Feature]
    warnings: list[str]
    errors: list[str]
    has_license: bool
    trial: bool
    require_telemetry: bool


class DeploymentOption(View, frozen=True, kw_only=True):
    """An option and what it is now; the value of a secret is never shown. `source` says what decided."""

    name: str
    flag: str
    env: str
    yaml: str
    group: str
    description: str
    default: str
    secret: bool
    source: str
    value: Any


class DeploymentConfig(View, frozen=True, kw_only=True):
    """Every option, in the order of the documentation; and their values by name."""

    config: dict[str, Any]
    options: list[DeploymentOption]


class DAUsQuery(Parameters, frozen=True, kw_only=True):
    """In which zone days are counted: hours east of UTC, and how many of them, today included."""

    tz_offset: Annotated[int, msgspec.Meta(ge=-12, le=14)] = 0
    days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 60


class DAUEntry(View, frozen=True, kw_only=True):
    """How many users made calls on a day (`2026-11-29`)."""

    date: str
    amount: int


class DAUsResponse(View, frozen=True, kw_only=True):
    """Daily active users, the oldest day first, days without any included."""

    entries: list[DAUEntry]
    tz_hour_offset: int


class AppHostResponse(View, frozen=True, kw_only=True):
    """The host of workspace applications: empty, since there are none here."""

    host: str


ENDPOINTS = (
    Endpoint(
        operation="build_info",
        method="GET",
        path="/buildinfo",
        summary="Show what runs here.",
        needs=Access.PUBLIC,
        response=BuildInfoResponse,
    ),
    Endpoint(
        operation="appearance",
        method="GET",
        path="/appearance",
        summary="Show how the pages look.",
        needs=Access.PUBLIC,
        response=AppearanceConfig,
    ),
    Endpoint(
        operation="update_appearance",
        method="PUT",
        path="/appearance",
        summary="Change how the pages look.",
        needs=Needs(action=Action.UPDATE, resource=Resource.DEPLOYMENT_CONFIG),
        body=AppearanceConfig,
        response=AppearanceConfig,
    ),
    Endpoint(
        operation="experiments",
        method="GET",
        path="/experiments",
        summary="List what is tried out here.",
        needs=Access.SIGNED_IN,
        response=list[str],
    ),
    Endpoint(
        operation="entitlements",
        method="GET",
        path="/entitlements",
        summary="Show what this deployment may use.",
        needs=Access.SIGNED_IN,
        response=Entitlements,
    ),
    Endpoint(
        operation="deployment_config",
        method="GET",
        path="/deployment/config",
        aliases=("/config/deployment",),
        summary="Show every option and its value, secrets excepted.",
        needs=Needs(action=Action.READ, resource=Resource.DEPLOYMENT_CONFIG),
        response=DeploymentConfig,
    ),
    Endpoint(
        operation="deployment_daus",
        method="GET",
        path="/insights/daus",
        summary="Count the users that made calls, by day.",
        needs=Needs(action=Action.READ, resource=Resource.DEPLOYMENT_STATS),
        query=DAUsQuery,
        response=DAUsResponse,
    ),
    Endpoint(
        operation="app_host",
        method="GET",
        path="/applications/host",
        summary="Show the host of workspace applications: there is none.",
        needs=Access.SIGNED_IN,
        response=AppHostResponse,
    ),
)
