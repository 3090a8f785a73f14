"""The table of options: the one place where each is written, with its names, default, bounds and meaning.

What a person signs in with is in `options_sign_in`, in the same form. `options` says what they amount to.
"""

from collections.abc import Mapping
from pathlib import Path

from aibridge.options_kinds import (
    ADDRESS,
    BASE_URL,
    DURATION,
    FILE,
    KEY,
    NAMES,
    NETWORKS,
    PATH,
    REDIS_URL,
    SIZE,
    TEXT,
    TRUTH,
    WHOLE,
    Option,
)
from aibridge.options_sign_in import MASTER_KEYS, SIGN_IN

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
    Option("", "database_url", TEXT, None, STORAGE,
           "Database: sqlite:////var/lib/aibridge/aibridge.db, or postgresql://user@host/database.",
           unset="SQLite in the data directory", secret=True),
)
"""What finds the data: the options of commands that only need the database."""

OPTIONS = (
    Option("aibridge", "max_concurrency", WHOLE, "0", LIMITS, "AI requests served at once; 0 = unlimited.",
           minimum="0"),
    Option("aibridge", "rate_limit", WHOLE, "0", LIMITS, "AI requests per second and auth token; 0 = off.",
           minimum="0"),
    Option("", "api_rate_limit", WHOLE, "512", LIMITS,
           "Requests a minute to each endpoint of the management API, from each user or address; 0 = unlimited.",
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
    Option("", "redis_url", REDIS_URL, None, LIMITS,
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
    *SIGN_IN,
    Option("", "workers", WHOLE, "1", SERVER, "Processes that serve; limits stay exact over all of them.",
           minimum="1", maximum="64"),
    Option("", "http_address", ADDRESS, "127.0.0.1:4001", SERVER, "Where to listen."),
    Option("", "access_url", BASE_URL, None, SERVER,
           "Where people reach this server, as they type it: behind a proxy, the proxy's address.",
           unset="the address it listens on"),
    Option("", "tls_cert_file", FILE, None, SERVER, "Certificate chain (PEM); serves TLS."),
    Option("", "tls_key_file", FILE, None, SERVER, "The certificate's private key (PEM)."),
    Option("", "trusted_proxies", NETWORKS, None, SERVER, "Networks of proxies whose X-Forwarded-For counts."),
    Option("", "prometheus_address", ADDRESS, None, SERVER, "Where to serve metrics.",
           unset="the same port, at /metrics"),
    *LOCATION,
    Option("aibridge", "encryption_keys", MASTER_KEYS, None, STORAGE,
           "Master keys of secrets in the database; the first seals, all of them open.",
           unset="encryption.key in the data directory, made when first needed", secret=True),
)
# fmt: on
