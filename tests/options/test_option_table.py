"""The table of options: names, the struct and the documents that follow from it."""

import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import pytest

from aibridge.options import LOCATION, OPTIONS, Address, OptionError, Settings, load
from aibridge.options_sources import flag_names, variable_names, yaml_names
from aibridge.server.channel import encoded

ROOT = Path(__file__).parents[2]

NAMES: dict[str, tuple[str, str | None, object]] = {
    "--aibridge-max-concurrency": ("CODER_AIBRIDGE_MAX_CONCURRENCY", "aibridge.max_concurrency", 0),
    "--aibridge-rate-limit": ("CODER_AIBRIDGE_RATE_LIMIT", "aibridge.rate_limit", 0),
    "--api-rate-limit": ("CODER_API_RATE_LIMIT", "api_rate_limit", 512),
    "--aibridge-queue-timeout": ("CODER_AIBRIDGE_QUEUE_TIMEOUT", "aibridge.queue_timeout", 0.0),
    "--aibridge-queue-size": ("CODER_AIBRIDGE_QUEUE_SIZE", "aibridge.queue_size", 1000),
    "--aibridge-adaptive-concurrency": ("CODER_AIBRIDGE_ADAPTIVE_CONCURRENCY", "aibridge.adaptive_concurrency", False),
    "--aibridge-max-retries": ("CODER_AIBRIDGE_MAX_RETRIES", "aibridge.max_retries", 0),
    "--aibridge-retry-budget": ("CODER_AIBRIDGE_RETRY_BUDGET", "aibridge.retry_budget", 8),
    "--redis-url": ("CODER_REDIS_URL", "redis_url", None),
    "--aibridge-circuit-breaker-enabled": (
        "CODER_AIBRIDGE_CIRCUIT_BREAKER_ENABLED",
        "aibridge.circuit_breaker_enabled",
        False,
    ),
    "--aibridge-circuit-breaker-failure-threshold": (
        "CODER_AIBRIDGE_CIRCUIT_BREAKER_FAILURE_THRESHOLD",
        "aibridge.circuit_breaker_failure_threshold",
        5,
    ),
    "--aibridge-circuit-breaker-interval": (
        "CODER_AIBRIDGE_CIRCUIT_BREAKER_INTERVAL",
        "aibridge.circuit_breaker_interval",
        10.0,
    ),
    "--aibridge-circuit-breaker-timeout": (
        "CODER_AIBRIDGE_CIRCUIT_BREAKER_TIMEOUT",
        "aibridge.circuit_breaker_timeout",
        30.0,
    ),
    "--aibridge-circuit-breaker-max-requests": (
        "CODER_AIBRIDGE_CIRCUIT_BREAKER_MAX_REQUESTS",
        "aibridge.circuit_breaker_max_requests",
        3,
    ),
    "--aibridge-circuit-breaker-failure-ratio": (
        "CODER_AIBRIDGE_CIRCUIT_BREAKER_FAILURE_RATIO",
        "aibridge.circuit_breaker_failure_ratio",
        50,
    ),
    "--aibridge-circuit-breaker-slow-first-byte": (
        "CODER_AIBRIDGE_CIRCUIT_BREAKER_SLOW_FIRST_BYTE",
        "aibridge.circuit_breaker_slow_first_byte",
        0.0,
    ),
    "--aibridge-circuit-breaker-slow-ratio": (
        "CODER_AIBRIDGE_CIRCUIT_BREAKER_SLOW_RATIO",
        "aibridge.circuit_breaker_slow_ratio",
        80,
    ),
    "--aibridge-circuit-breaker-minimum-calls": (
        "CODER_AIBRIDGE_CIRCUIT_BREAKER_MINIMUM_CALLS",
        "aibridge.circuit_breaker_minimum_calls",
        20,
    ),
    "--aibridge-circuit-breaker-models": (
        "CODER_AIBRIDGE_CIRCUIT_BREAKER_MODELS",
        "aibridge.circuit_breaker_models",
        (),
    ),
    "--workers": ("CODER_WORKERS", "workers", 1),
    "--aibridge-enabled": ("CODER_AIBRIDGE_ENABLED", "aibridge.enabled", True),
    "--aibridge-openai-base-url": (
        "CODER_AIBRIDGE_OPENAI_BASE_URL",
        "aibridge.openai_base_url",
        "https://api.openai.com/v1",
    ),
    "--aibridge-openai-key": ("CODER_AIBRIDGE_OPENAI_KEY", "aibridge.openai_key", None),
    "--aibridge-anthropic-base-url": (
        "CODER_AIBRIDGE_ANTHROPIC_BASE_URL",
        "aibridge.anthropic_base_url",
        "https://api.anthropic.com",
    ),
    "--aibridge-anthropic-key": ("CODER_AIBRIDGE_ANTHROPIC_KEY", "aibridge.anthropic_key", None),
    "--aibridge-allow-byok": ("CODER_AIBRIDGE_ALLOW_BYOK", "aibridge.allow_byok", True),
    "--aibridge-send-actor-headers": ("CODER_AIBRIDGE_SEND_ACTOR_HEADERS", "aibridge.send_actor_headers", False),
    "--aibridge-structured-logging": ("CODER_AIBRIDGE_STRUCTURED_LOGGING", "aibridge.structured_logging", False),
    "--aibridge-limit-passthrough": ("CODER_AIBRIDGE_LIMIT_PASSTHROUGH", "aibridge.limit_passthrough", False),
    "--aibridge-connect-timeout": ("CODER_AIBRIDGE_CONNECT_TIMEOUT", "aibridge.connect_timeout", 5.0),
    "--aibridge-first-byte-timeout": ("CODER_AIBRIDGE_FIRST_BYTE_TIMEOUT", "aibridge.first_byte_timeout", 120.0),
    "--aibridge-idle-timeout": ("CODER_AIBRIDGE_IDLE_TIMEOUT", "aibridge.idle_timeout", 120.0),
    "--aibridge-total-timeout": ("CODER_AIBRIDGE_TOTAL_TIMEOUT", "aibridge.total_timeout", 600.0),
    "--aibridge-max-body-size": ("CODER_AIBRIDGE_MAX_BODY_SIZE", "aibridge.max_body_size", 32 * 1024 * 1024),
    "--aibridge-drain-timeout": ("CODER_AIBRIDGE_DRAIN_TIMEOUT", "aibridge.drain_timeout", 30.0),
    "--disable-password-auth": ("CODER_DISABLE_PASSWORD_AUTH", "disable_password_auth", False),
    "--session-duration": ("CODER_SESSION_DURATION", "session_duration", 86400.0),
    "--secure-auth-cookie": ("CODER_SECURE_AUTH_COOKIE", "secure_auth_cookie", False),
    "--oidc-issuer-url": ("CODER_OIDC_ISSUER_URL", "oidc_issuer_url", None),
    "--oidc-client-id": ("CODER_OIDC_CLIENT_ID", "oidc_client_id", None),
    "--oidc-client-secret": ("CODER_OIDC_CLIENT_SECRET", "oidc_client_secret", None),
    "--oidc-scopes": ("CODER_OIDC_SCOPES", "oidc_scopes", ("openid", "profile", "email")),
    "--oidc-email-domain": ("CODER_OIDC_EMAIL_DOMAIN", "oidc_email_domain", ()),
    "--oidc-username-field": ("CODER_OIDC_USERNAME_FIELD", "oidc_username_field", "preferred_username"),
    "--oidc-email-field": ("CODER_OIDC_EMAIL_FIELD", "oidc_email_field", "email"),
    "--oidc-group-field": ("CODER_OIDC_GROUP_FIELD", "oidc_group_field", None),
    "--oidc-group-mapping": ("CODER_OIDC_GROUP_MAPPING", "oidc_group_mapping", {}),
    "--oidc-group-regex-filter": ("CODER_OIDC_GROUP_REGEX_FILTER", "oidc_group_regex_filter", None),
    "--oidc-user-role-field": ("CODER_OIDC_USER_ROLE_FIELD", "oidc_user_role_field", None),
    "--oidc-user-role-mapping": ("CODER_OIDC_USER_ROLE_MAPPING", "oidc_user_role_mapping", {}),
    "--oidc-user-role-default": ("CODER_OIDC_USER_ROLE_DEFAULT", "oidc_user_role_default", ()),
    "--oidc-allow-signups": ("CODER_OIDC_ALLOW_SIGNUPS", "oidc_allow_signups", True),
    "--oidc-ignore-email-verified": ("CODER_OIDC_IGNORE_EMAIL_VERIFIED", "oidc_ignore_email_verified", False),
    "--oidc-sign-in-text": ("CODER_OIDC_SIGN_IN_TEXT", "oidc_sign_in_text", "OpenID Connect"),
    "--aibridge-encryption-keys": ("CODER_AIBRIDGE_ENCRYPTION_KEYS", "aibridge.encryption_keys", ()),
    "--access-url": ("CODER_ACCESS_URL", "access_url", None),
    "--http-address": ("CODER_HTTP_ADDRESS", "http_address", Address("127.0.0.1", 4001)),
    "--tls-cert-file": ("CODER_TLS_CERT_FILE", "tls_cert_file", None),
    "--tls-key-file": ("CODER_TLS_KEY_FILE", "tls_key_file", None),
    "--trusted-proxies": ("CODER_TRUSTED_PROXIES", "trusted_proxies", ()),
    "--prometheus-address": ("CODER_PROMETHEUS_ADDRESS", "prometheus_address", None),
    "--config": ("CODER_CONFIG_PATH", None, None),
    "--data-dir": ("CODER_DATA_DIR", "data_dir", Path("/home/ada/.local/share/aibridge")),
    "--database-url": ("CODER_DATABASE_URL", "database_url", None),
}


def test_every_option_has_its_promised_names_and_default() -> None:
    settings = load({}, {"HOME": "/home/ada"})

    assert {
        option.flag: (
            option.environment[0],
            option.yaml_keys[0] if option.yaml_keys else None,
            getattr(settings, option.field),
        )
        for option in OPTIONS
    } == NAMES


def test_every_row_is_a_field_of_settings_and_every_field_a_row() -> None:
    assert sorted(Settings.__struct_fields__) == sorted(
        [*(option.field for option in OPTIONS), "limits", "prices", "sources"]
    )


def test_every_field_has_the_type_of_its_rows_kind() -> None:
    for option in OPTIONS:
        hint = get_type_hints(Settings)[option.field]
        has_default = option.default is not None or option.default_in is not None
        optional = not has_default and option.kind.absent is None

        assert hint == (option.kind.type | None if optional else option.kind.type), option.field
        assert (type(None) in get_args(hint)) is optional


def test_no_two_options_share_a_name() -> None:
    for names in (flag_names, variable_names, yaml_names):
        every = [name for option in OPTIONS for name, _ in names(option)]
        assert len(every) == len(set(every))


def test_all_options_of_the_ai_routes_have_the_newer_spelling_too() -> None:
    (rate_limit,) = (option for option in OPTIONS if option.field == "rate_limit")

    assert rate_limit.flags == ("--aibridge-rate-limit", "--ai-gateway-rate-limit")
    assert rate_limit.environment == ("CODER_AIBRIDGE_RATE_LIMIT", "CODER_AI_GATEWAY_RATE_LIMIT")
    assert rate_limit.yaml_keys == ("aibridge.rate_limit", "ai_gateway.rate_limit")


def test_a_groups_options_stand_together() -> None:
    groups = [group for group, _ in groupby(OPTIONS, key=lambda option: option.group)]

    assert len(groups) == len(set(groups))


def test_what_locates_the_data_is_in_the_table() -> None:
    assert set(map(id, LOCATION)) <= set(map(id, OPTIONS))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/ada", "XDG_DATA_HOME": "/data"}, "/data/aibridge"),
        ({"HOME": "/home/ada", "XDG_DATA_HOME": ""}, "/home/ada/.local/share/aibridge"),
        ({"HOME": "/home/ada", "XDG_DATA_HOME": "not/absolute"}, "/home/ada/.local/share/aibridge"),
        ({}, str(Path.home() / ".local/share/aibridge")),
    ],
)
def test_data_is_kept_where_the_desktop_specification_says(environ: dict[str, str], expected: str) -> None:
    assert load({}, environ).data_dir == Path(expected)


def test_generated_files_are_in_step() -> None:
    check = subprocess.run(
        [sys.executable, "scripts/gen.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert check.returncode == 0, check.stdout + check.stderr


def test_the_page_of_options_names_every_option_everywhere() -> None:
    page = (ROOT / "docs/options.md").read_text()

    for option in OPTIONS:
        for name in (option.flag, option.environment[0], *option.yaml_keys[:1]):
            assert f"`{name}`" in page


def test_a_queue_needs_something_to_wait_for() -> None:
    with pytest.raises(OptionError) as caught:
        load({"--aibridge-queue-timeout": "5s"}, {})
    assert str(caught.value).startswith("--aibridge-queue-timeout (from flag --aibridge-queue-timeout) needs")
    assert load({"--aibridge-queue-timeout": "5s", "--aibridge-max-concurrency": "1"}, {}).queue_timeout == 5.0


@pytest.mark.parametrize(
    ("given", "missing"), [("--oidc-issuer-url", "--oidc-client-id"), ("--oidc-client-id", "--oidc-issuer-url")]
)
def test_openid_connect_takes_an_issuer_and_a_client(given: str, missing: str) -> None:
    values = {"--oidc-issuer-url": "https://id.example", "--oidc-client-id": "aibridge"}

    with pytest.raises(OptionError) as caught:
        load({given: values[given]}, {})

    assert str(caught.value) == f"{given} (from flag {given}) needs {missing}, too; OpenID Connect takes both"
    assert load(values, {}).oidc_issuer_url == "https://id.example"


def test_settings_reach_a_worker_as_they_are() -> None:
    flags = {
        "--oidc-group-mapping": '{"7f": "developers"}',
        "--oidc-user-role-mapping": '{"boss": ["organization-admin:00000000-0000-4000-8000-000000000001"]}',
        "--aibridge-encryption-keys": "ab" * 32,
    }
    settings = load(flags, {"HOME": "/home/ada"})

    assert msgspec.json.decode(encoded(settings), type=Settings, dec_hook=lambda kind, text: kind(text)) == settings


def test_master_keys_are_not_shown() -> None:
    settings = load({"--aibridge-encryption-keys": "ab" * 32, "--oidc-client-secret": "hush"}, {})

    assert "encryption_keys=…" in repr(settings)
    assert "hush" not in repr(settings)
    assert str(b"\xab") not in repr(settings)
