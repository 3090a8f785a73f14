"""What the options amount to: the table, decided for one start of the server.

The table (`options_table`) is the one place an option is written. Flags, environment variables, YAML keys,
`aibridge server --help` and `docs/options.md` follow from it; `Settings` gives each row a typed field, and a test holds
the two together.

The first of these that says anything decides: flag, environment, YAML file, default.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import yaml

from aibridge.domain.price import Price
from aibridge.domain.rule import Rule
from aibridge.limits.written import KEYS, Written, written_in
from aibridge.options_kinds import Address, Option, OptionError
from aibridge.options_sources import (
    Given,
    Resolved,
    document,
    from_document,
    from_environment,
    from_fallback,
    from_flags,
    settle,
    unknown_variables,
)
from aibridge.options_table import CONFIG, LOCATION, OPTIONS

__all__ = ["LOCATION", "OPTIONS", "Address", "Location", "OptionError", "Settings", "load", "locate", "warnings_about"]


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where the data is: all that a command needs which only works with the database."""

    data_dir: Path
    database_url: str | None

    @property
    def database(self) -> str:
        """The URL of the database to open. Secret: it may hold a password."""
        return self.database_url or f"sqlite:///{self.data_dir}/aibridge.db"

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        hidden = {option.field: "…" for option in OPTIONS if option.secret and shown.get(option.field)}
        return f"{type(self).__name__}({', '.join(f'{name}={value!s}' for name, value in (shown | hidden).items())})"


class Settings(Location, frozen=True, kw_only=True):
    """All options, decided: a field for each row of the table, durations in seconds and sizes in bytes; and limits."""

    max_concurrency: int
    rate_limit: int
    limit_passthrough: bool
    queue_timeout: float
    queue_size: int
    adaptive_concurrency: bool
    max_retries: int
    retry_budget: int
    circuit_breaker_enabled: bool
    circuit_breaker_failure_threshold: int
    circuit_breaker_interval: float
    circuit_breaker_timeout: float
    circuit_breaker_max_requests: int
    circuit_breaker_failure_ratio: int
    circuit_breaker_slow_first_byte: float
    circuit_breaker_slow_ratio: int
    circuit_breaker_minimum_calls: int
    circuit_breaker_models: tuple[str, ...]
    workers: int
    redis_url: str | None
    enabled: bool
    allow_byok: bool
    send_actor_headers: bool
    structured_logging: bool
    openai_base_url: str
    openai_key: str | None
    anthropic_base_url: str
    anthropic_key: str | None
    connect_timeout: float
    first_byte_timeout: float
    idle_timeout: float
    total_timeout: float
    max_body_size: int
    drain_timeout: float
    api_rate_limit: int
    disable_password_auth: bool
    session_duration: float
    secure_auth_cookie: bool
    oidc_issuer_url: str | None
    oidc_client_id: str | None
    oidc_client_secret: str | None
    oidc_scopes: tuple[str, ...]
    oidc_email_domain: tuple[str, ...]
    oidc_username_field: str
    oidc_email_field: str
    oidc_group_field: str | None
    oidc_group_mapping: Mapping[str, str]
    oidc_group_regex_filter: str | None
    oidc_user_role_field: str | None
    oidc_user_role_mapping: Mapping[str, tuple[str, ...]]
    oidc_user_role_default: tuple[str, ...]
    oidc_allow_signups: bool
    oidc_ignore_email_verified: bool
    oidc_sign_in_text: str
    encryption_keys: tuple[bytes, ...]
    http_address: Address
    access_url: str | None
    tls_cert_file: Path | None
    tls_key_file: Path | None
    trusted_proxies: tuple[str, ...]
    prometheus_address: Address | None
    config: Path | None
    limits: tuple[Rule, ...]
    """Those of the file; `limits.rules.rules_of` has all."""
    prices: tuple[Price, ...]
    sources: Mapping[str, str]
    """What decided each field: `flag --…`, `environment …`, `file …, line …, key …` or `default`."""


def load(flags: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
    """Decide all options. Looks at nothing but its arguments and the files they name.

    `flags` maps flags as written, dashes included, to their values. A value that another overrules is not judged.

    Raises:
        OptionError: something is given wrongly.
    """
    path, root = _config(flags, environ)
    decided = _decide(OPTIONS, flags, environ, path, root)
    values = {field: resolved.value for field, resolved in decided.items()}
    if values["queue_timeout"] and not values["max_concurrency"]:
        source = decided["queue_timeout"].source
        raise OptionError(
            f"--aibridge-queue-timeout (from {source}) needs --aibridge-max-concurrency: what to wait for"
        )
    if (values["tls_cert_file"] is None) != (values["tls_key_file"] is None):
        given, missing = ("cert", "key") if values["tls_cert_file"] else ("key", "cert")
        source = decided[f"tls_{given}_file"].source
        raise OptionError(f"--tls-{given}-file (from {source}) needs --tls-{missing}-file, too; TLS takes both")
    if (values["oidc_issuer_url"] is None) != (values["oidc_client_id"] is None):
        given, missing = ("issuer-url", "client-id") if values["oidc_issuer_url"] else ("client-id", "issuer-url")
        source = decided[f"oidc_{given.replace('-', '_')}"].source
        raise OptionError(f"--oidc-{given} (from {source}) needs --oidc-{missing}, too; OpenID Connect takes both")
    written = written_in(path, root) if path else Written()
    return Settings(
        **values,
        limits=written.rules,
        prices=written.prices,
        sources={field: resolved.source for field, resolved in decided.items()},
    )


def locate(flags: Mapping[str, str], environ: Mapping[str, str]) -> Location:
    """Decide where the data is, whatever the other options say: a key file may well be unreadable to who asks.

    Raises:
        OptionError: see `load`.
    """
    decided = _decide(LOCATION, flags, environ, *_config(flags, environ))
    return Location(data_dir=decided["data_dir"].value, database_url=decided["database_url"].value)


def warnings_about(environ: Iterable[str]) -> list[str]:
    """What an operator should know of these environment variables, though it is no error: a line each."""
    return unknown_variables(environ, OPTIONS)


def _config(flags: Mapping[str, str], environ: Mapping[str, str]) -> tuple[Path | None, yaml.Node | None]:
    """The YAML file and its root. Read once: it may be a pipe."""
    path = _decide_one(CONFIG, flags, environ, {}).value
    return path, document(path) if path else None


def _decide(
    options: Iterable[Option],
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    path: Path | None,
    root: yaml.Node | None,
) -> dict[str, Resolved]:
    config = from_document(path, root, OPTIONS, KEYS) if path else {}
    return {option.field: _decide_one(option, flags, environ, config) for option in options}


def _decide_one(
    option: Option, flags: Mapping[str, str], environ: Mapping[str, str], config: Mapping[str, list[Given]]
) -> Resolved:
    for given in (
        from_flags(option, flags),
        from_environment(option, environ),
        from_fallback(option, environ),
        config.get(option.field, []),
    ):
        if given:
            return settle(option, given)
    default = option.default_in(environ) if option.default_in else option.default
    return Resolved(option.kind.absent, "default") if default is None else settle(option, [Given(default, "default")])
