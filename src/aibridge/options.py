"""Every option once: its names, default, bounds and meaning; and what they amount to.

The table is the one place an option is written. Flags, environment variables, YAML keys, `aibridge server --help` and
`docs/options.md` follow from it; `Settings` gives each row a typed field, and a test holds the two together.

The first of these that says anything decides: flag, environment, YAML file, default.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import yaml

from aibridge.domain.price import Price
from aibridge.domain.rule import Rule
from aibridge.limits.written import KEYS, Written, written_in
from aibridge.options_kinds import (
    ADDRESS,
    BASE_URL,
    DURATION,
    FILE,
    KEY,
    NAMES,
    NETWORKS,
    PATH,
    SIZE,
    TEXT,
    TRUTH,
    WHOLE,
    Address,
    Option,
    OptionError,
)
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

__all__ = ["LOCATION", "OPTIONS", "Address", "Location", "OptionError", "Settings", "load", "locate", "warnings_about"]

LIMITS = "Limits"
BREAKERS = "Circuit breakers"
ROUTES = "AI routes"
PROVIDERS = "Providers"
BOUNDS = "Deadlines and sizes"
SERVER = "Server"
STORAGE = "Storage"


def _user_data_dir(environ: Mapping[str, str]) -> str:
    """Where a user's programs keep data: https://specifications.freedesktop.org/basedir-spec/latest/."""
    base = environ.get("XDG_DATA_HOME", "")
    if not Path(base).is_absolute():
        base = f"{environ.get('HOME') or '~'}/.local/share"
    return f"{base}/aibridge"


# A table reads better than what the formatter would make of it.
# fmt: off
CONFIG = Option("", "config", FILE, None, SERVER, "YAML file with options.",
                environment_name="CODER_CONFIG_PATH", in_file=False)
LOCATION = (
    CONFIG,
    Option("", "data_dir", PATH, None, STORAGE, "Directory of the journal and of the embedded database.",
           unset="$XDG_DATA_HOME/aibridge, or ~/.local/share/aibridge", default_in=_user_data_dir),
    Option("", "database_url", TEXT, None, STORAGE, "Database, for example sqlite:////var/lib/aibridge/aibridge.db.",
           unset="SQLite in the data directory", secret=True),
)
"""What finds the data: the options of commands that only need the database."""

OPTIONS = (
    Option("aibridge", "max_concurrency", WHOLE, "0", LIMITS, "AI requests served at once; 0 = unlimited.",
           minimum="0"),
    Option("aibridge", "rate_limit", WHOLE, "0", LIMITS, "AI requests per second and auth token; 0 = off.",
           minimum="0"),
    Option("aibridge", "limit_passthrough", TRUTH, "false", LIMITS,
           "Count pass-through calls against the limits, too."),
    Option("aibridge", "queue_timeout", DURATION, "0s", LIMITS,
           "How long a call may wait for a permit, fairly by actor; 0 = refused at once.", minimum="0s", maximum="10m"),
    Option("aibridge", "queue_size", WHOLE, "1000", LIMITS,
           "Calls that may wait for a permit at one time.", minimum="1", maximum="1000000"),
    Option("aibridge", "adaptive_concurrency", TRUTH, "false", LIMITS,
           "Find out how many calls a provider takes at once, from its refusals and the time to the first byte."),
    Option("aibridge", "max_retries", WHOLE, "0", LIMITS,
           "How often a call that failed before its first byte is sent again, within the retry budget.",
           minimum="0", maximum="5"),
    Option("aibridge", "retry_budget", WHOLE, "8", LIMITS,
           "Retries allowed, in percent of calls.", minimum="0", maximum="100"),
    Option("", "redis_url", TEXT, None, LIMITS,
           "Redis or Valkey that several servers count in, for example redis://host:6379/0.", secret=True),
    Option("aibridge", "circuit_breaker_enabled", TRUTH, "false", BREAKERS,
           "Refuse calls to a provider and model that keep failing."),
    Option("aibridge", "circuit_breaker_failure_threshold", WHOLE, "5", BREAKERS,
           "Failures in a row that open a breaker; 0 = by ratio only.", minimum="0"),
    Option("aibridge", "circuit_breaker_interval", DURATION, "10s", BREAKERS,
           "The window over which calls and failures are counted.", minimum="1s", maximum="1h"),
    Option("aibridge", "circuit_breaker_timeout", DURATION, "30s", BREAKERS,
           "How long a breaker stays open before it lets probes through.", minimum="1s", maximum="1h"),
    Option("aibridge", "circuit_breaker_max_requests", WHOLE, "3", BREAKERS,
           "Probes that a breaker which may close lets through at one time.", minimum="1", maximum="1000"),
    Option("aibridge", "circuit_breaker_failure_ratio", WHOLE, "50", BREAKERS,
           "Failures in the window that open a breaker, in percent of its calls; 0 = off.", minimum="0", maximum="100"),
    Option("aibridge", "circuit_breaker_slow_first_byte", DURATION, "0s", BREAKERS,
           "A first byte later than this is slow; 0 = none is.", minimum="0s", maximum="1h"),
    Option("aibridge", "circuit_breaker_slow_ratio", WHOLE, "80", BREAKERS,
           "Slow calls in the window that open a breaker, in percent; 0 = off.", minimum="0", maximum="100"),
    Option("aibridge", "circuit_breaker_minimum_calls", WHOLE, "20", BREAKERS,
           "Calls in the window below which no ratio counts.", minimum="1"),
    Option("aibridge", "circuit_breaker_models", NAMES, None, BREAKERS,
           "Patterns of models that have a breaker each, for example gpt-*,claude-*; a provider's others share one."),
    Option("aibridge", "enabled", TRUTH, "true", ROUTES, "Serve the AI routes."),
    Option("aibridge", "allow_byok", TRUTH, "true", ROUTES, "Let callers bring their own provider key."),
    Option("aibridge", "send_actor_headers", TRUTH, "false", ROUTES,
           "Tell providers who calls: X-AI-Bridge-Actor-ID and X-AI-Bridge-Actor-Metadata-Username."),
    Option("aibridge", "structured_logging", TRUTH, "false", ROUTES, "Log one line of JSON per record."),
    Option("aibridge", "openai_base_url", BASE_URL, "https://api.openai.com/v1", PROVIDERS,
           "Where OpenAI's API is, with its version."),
    Option("aibridge", "openai_key", KEY, None, PROVIDERS, "OpenAI API key.",
           secret=True, fallback="OPENAI_API_KEY"),
    Option("aibridge", "anthropic_base_url", BASE_URL, "https://api.anthropic.com", PROVIDERS,
           "Where Anthropic's API is."),
    Option("aibridge", "anthropic_key", KEY, None, PROVIDERS, "Anthropic API key.",
           secret=True, fallback="ANTHROPIC_API_KEY"),
    Option("aibridge", "connect_timeout", DURATION, "5s", BOUNDS,
           "Longest wait for a connection to a provider.", minimum="1ms", maximum="1d"),
    Option("aibridge", "first_byte_timeout", DURATION, "120s", BOUNDS,
           "Longest wait for the first byte of a provider's answer.", minimum="1ms", maximum="1d"),
    Option("aibridge", "idle_timeout", DURATION, "120s", BOUNDS,
           "Longest gap between two parts of a provider's answer.", minimum="1ms", maximum="1d"),
    Option("aibridge", "total_timeout", DURATION, "600s", BOUNDS,
           "Longest time for a whole call.", minimum="1ms", maximum="1d"),
    Option("aibridge", "max_body_size", SIZE, "32MiB", BOUNDS,
           "Largest request body; it is held in memory.", minimum="1B", maximum="1GiB"),
    Option("aibridge", "drain_timeout", DURATION, "30s", BOUNDS,
           "How long running calls may go on when the server is told to stop.", minimum="0s", maximum="1d"),
    Option("", "workers", WHOLE, "1", SERVER, "Processes that serve; limits stay exact over all of them.",
           minimum="1", maximum="64"),
    Option("", "http_address", ADDRESS, "127.0.0.1:4001", SERVER, "Where to listen."),
    Option("", "tls_cert_file", FILE, None, SERVER, "Certificate chain (PEM); serves TLS."),
    Option("", "tls_key_file", FILE, None, SERVER, "The certificate's private key (PEM)."),
    Option("", "trusted_proxies", NETWORKS, None, SERVER, "Networks of proxies whose X-Forwarded-For counts."),
    Option("", "prometheus_address", ADDRESS, None, SERVER, "Where to serve metrics.",
           unset="the same port, at /metrics"),
    *LOCATION,
)
# fmt: on


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
    http_address: Address
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
