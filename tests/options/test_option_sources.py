"""Which source decides an option, and what is said of one that is given wrongly."""

from pathlib import Path

import pytest

from aibridge.options import OptionError, Settings, load, locate, warnings_about

SECRET = "sk-do-not-show"
ADDRESS = "an address such as 127.0.0.1:4001, [::1]:4001 or :4001"
WORD = "one word of visible ASCII characters"


def refusal(flags: dict[str, str], environ: dict[str, str]) -> str:
    with pytest.raises(OptionError) as caught:
        load(flags, environ)
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in message
    assert caught.value.__cause__ is None
    return message


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "aibridge.yaml"
    path.write_text("aibridge:\n  rate_limit: 3\n")
    return str(path)


def test_the_flag_comes_before_environment_file_and_default(config: str) -> None:
    flags = {"--aibridge-rate-limit": "1"}
    environ = {"CODER_AIBRIDGE_RATE_LIMIT": "2"}
    file = {"--config": config}

    decided = [load(flags | file, environ), load(file, environ), load(file, {}), load({}, {})]

    assert [(settings.rate_limit, settings.sources["rate_limit"]) for settings in decided] == [
        (1, "flag --aibridge-rate-limit"),
        (2, "environment CODER_AIBRIDGE_RATE_LIMIT"),
        (3, f"file {config}, line 2, key aibridge.rate_limit"),
        (0, "default"),
    ]


def test_what_is_overruled_is_not_judged() -> None:
    assert load({"--aibridge-rate-limit": "1"}, {"CODER_AIBRIDGE_RATE_LIMIT": "many"}).rate_limit == 1


def test_the_environment_can_name_the_file(config: str) -> None:
    settings = load({}, {"CODER_CONFIG_PATH": config})

    assert (settings.rate_limit, settings.config) == (3, Path(config))


@pytest.mark.parametrize(
    ("flags", "environ", "source"),
    [
        ({"--ai-gateway-rate-limit": "4"}, {}, "flag --ai-gateway-rate-limit"),
        ({"--aibridge-rate-limit": "4", "--ai-gateway-rate-limit": "4"}, {}, "flag --aibridge-rate-limit"),
        ({}, {"CODER_AI_GATEWAY_RATE_LIMIT": "4"}, "environment CODER_AI_GATEWAY_RATE_LIMIT"),
        ({"--ai-gateway-rate-limit": "4"}, {"CODER_AIBRIDGE_RATE_LIMIT": "5"}, "flag --ai-gateway-rate-limit"),
    ],
)
def test_both_spellings_are_one_option(flags: dict[str, str], environ: dict[str, str], source: str) -> None:
    settings = load(flags, environ)

    assert (settings.rate_limit, settings.sources["rate_limit"]) == (4, source)


def test_spellings_that_mean_the_same_agree() -> None:
    environ = {"CODER_AIBRIDGE_IDLE_TIMEOUT": "90s", "CODER_AI_GATEWAY_IDLE_TIMEOUT": "1m30s"}

    assert load({}, environ).idle_timeout == 90.0


def test_spellings_that_differ_are_an_error_that_names_both() -> None:
    assert refusal({"--aibridge-rate-limit": "4", "--ai-gateway-rate-limit": "5"}, {}) == (
        "--aibridge-rate-limit: flag --aibridge-rate-limit and flag --ai-gateway-rate-limit "
        'have different values ("4" and "5")'
    )
    assert refusal({}, {"CODER_AIBRIDGE_ENABLED": "yes", "CODER_AI_GATEWAY_ENABLED": "no"}) == (
        "--aibridge-enabled: environment CODER_AIBRIDGE_ENABLED and environment CODER_AI_GATEWAY_ENABLED "
        'have different values ("yes" and "no")'
    )


def test_spellings_of_a_secret_that_differ_do_not_show_it() -> None:
    environ = {"CODER_AIBRIDGE_OPENAI_KEY": SECRET, "CODER_AI_GATEWAY_OPENAI_KEY": SECRET + "2"}

    assert refusal({}, environ) == (
        "--aibridge-openai-key: environment CODER_AIBRIDGE_OPENAI_KEY and environment CODER_AI_GATEWAY_OPENAI_KEY "
        "have different values"
    )


@pytest.mark.parametrize(
    ("flags", "environ", "complaint", "allowed"),
    [
        (
            {"--aibridge-max-concurrency": "many"},
            {},
            '--aibridge-max-concurrency: "many" from flag --aibridge-max-concurrency is not allowed',
            "a whole number, at least 0",
        ),
        (
            {},
            {"CODER_AI_GATEWAY_MAX_CONCURRENCY": "-1"},
            '--aibridge-max-concurrency: "-1" from environment CODER_AI_GATEWAY_MAX_CONCURRENCY is not allowed',
            "a whole number, at least 0",
        ),
        (
            {},
            {"CODER_AIBRIDGE_ENABLED": "maybe"},
            '--aibridge-enabled: "maybe" from environment CODER_AIBRIDGE_ENABLED is not allowed',
            "true or false (1 or 0, yes or no)",
        ),
        (
            {"--aibridge-connect-timeout": "0s"},
            {},
            '--aibridge-connect-timeout: "0s" from flag --aibridge-connect-timeout is not allowed',
            "a duration such as 10s, 1.5s, 2m or 500ms, at least 1ms and at most 1d",
        ),
        (
            {"--http-address": ""},
            {},
            "--http-address: the value from flag --http-address is empty",
            ADDRESS,
        ),
        (
            {"--http-address": "a\nb"},
            {},
            '--http-address: "a\\nb" from flag --http-address is not allowed',
            ADDRESS,
        ),
        (
            {},
            {"CODER_AIBRIDGE_OPENAI_KEY": f"{SECRET} \n"},
            "--aibridge-openai-key: the value from environment CODER_AIBRIDGE_OPENAI_KEY is not allowed",
            WORD,
        ),
        (
            {},
            {"OPENAI_API_KEY": f"{SECRET}\n"},
            "--aibridge-openai-key: the value from environment OPENAI_API_KEY is not allowed",
            WORD,
        ),
        (
            {},
            {"CODER_AIBRIDGE_OPENAI_BASE_URL": f"https://ada:{SECRET}@a"},
            '--aibridge-openai-base-url: "https://…@a" from environment CODER_AIBRIDGE_OPENAI_BASE_URL is not allowed',
            "an http:// or https:// URL with a host and without credentials, query or fragment",
        ),
        *(
            (
                {"--redis-url": url},
                {},
                "--redis-url: the value from flag --redis-url is not allowed",
                "redis://host:6379/0, rediss:// for TLS, valkey:// or valkeys:// in their place, or unix:///path",
            )
            for url in (
                "a",
                "a:6379",
                "http://a",
                "redis://",
                "redis://a:65536",
                "redis://a:b",
                "redis://a/b",
                "unix://",
            )
        ),
    ],
)
def test_a_wrong_value_is_refused_with_option_source_value_and_what_is_allowed(
    flags: dict[str, str], environ: dict[str, str], complaint: str, allowed: str
) -> None:
    assert refusal(flags, environ) == f"{complaint}; allowed: {allowed}"


@pytest.mark.parametrize(
    "url",
    [
        *("redis://a", "redis://a:6379/0", "rediss://ada:word@a/15", "valkey://[::1]:1/", "valkeys://a?db=2"),
        *("unix:///run/redis.sock", "unix://ada:word@/run/redis.sock?db=1"),
    ],
)
def test_a_server_of_shared_counts_is_taken_as_its_client_takes_it(url: str) -> None:
    assert load({"--redis-url": url}, {}).redis_url == url


def test_a_secret_is_read_from_a_file_without_its_line_break(tmp_path: Path) -> None:
    for ending in ("", "\n", "\r\n"):
        (tmp_path / "key").write_bytes(f"{SECRET}{ending}".encode())

        settings = load({}, {"CODER_AIBRIDGE_OPENAI_KEY_FILE": str(tmp_path / "key")})

        assert settings.openai_key == SECRET
        assert settings.sources["openai_key"] == "environment CODER_AIBRIDGE_OPENAI_KEY_FILE"
    assert load({"--ai-gateway-anthropic-key-file": str(tmp_path / "key")}, {}).anthropic_key == SECRET


def test_a_secret_and_its_file_are_an_error_that_names_both(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(SECRET)
    environ = {"CODER_AI_GATEWAY_OPENAI_KEY": SECRET, "CODER_AIBRIDGE_OPENAI_KEY_FILE": str(tmp_path / "key")}

    assert refusal({}, environ) == (
        "--aibridge-openai-key: give environment CODER_AI_GATEWAY_OPENAI_KEY or "
        "environment CODER_AIBRIDGE_OPENAI_KEY_FILE, not both"
    )


def test_a_secret_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "long").write_text("x" * 65537)
    (tmp_path / "lines").write_text(f"{SECRET}\n{SECRET}\n")
    flag = "--aibridge-openai-key-file"
    named = f"named by flag {flag}"

    def said(name: str) -> str:
        return refusal({flag: str(tmp_path / name)}, {}).replace(f"{tmp_path}/", "")

    option = "--aibridge-openai-key"
    assert said("absent") == f'{option}: file "absent" {named} cannot be read: No such file or directory'
    assert said("binary") == f'{option}: file "binary" {named} cannot be read: not a text file'
    assert said("a\0b") == f'{option}: file "a\\x00b" {named} cannot be read: not a text file'
    assert said("long") == f'{option}: file "long" {named} cannot be read: longer than 65536 characters'
    assert said("empty") == f"{option}: the value from file empty {named} is empty; allowed: {WORD}"
    assert said("lines") == f"{option}: the value from file lines {named} is not allowed; allowed: {WORD}"


def test_the_vendors_own_variables_count_after_ours() -> None:
    vendors = {"OPENAI_API_KEY": "theirs", "ANTHROPIC_API_KEY": "theirs-too"}

    assert load({}, vendors).openai_key == "theirs"
    assert load({}, vendors).anthropic_key == "theirs-too"
    assert load({}, vendors | {"CODER_AIBRIDGE_OPENAI_KEY": "ours"}).openai_key == "ours"
    assert load({}, {"OPENAI_API_KEY": ""}).openai_key is None


def test_variables_that_point_clients_at_a_gateway_do_not_point_the_gateway_at_itself() -> None:
    clients = {"OPENAI_BASE_URL": "http://127.0.0.1:4001/openai/v1", "ANTHROPIC_BASE_URL": "http://127.0.0.1:4001/a"}

    settings = load({}, clients)

    assert settings.openai_base_url == "https://api.openai.com/v1"
    assert settings.anthropic_base_url == "https://api.anthropic.com"


def test_a_certificate_needs_its_key_and_a_key_its_certificate(tmp_path: Path) -> None:
    file = tmp_path / "a.pem"
    file.touch()

    assert refusal({"--tls-cert-file": str(file)}, {}) == (
        "--tls-cert-file (from flag --tls-cert-file) needs --tls-key-file, too; TLS takes both"
    )
    assert refusal({}, {"CODER_TLS_KEY_FILE": str(file)}) == (
        "--tls-key-file (from environment CODER_TLS_KEY_FILE) needs --tls-cert-file, too; TLS takes both"
    )
    settings = load({"--tls-cert-file": str(file), "--tls-key-file": str(file)}, {})
    assert (settings.tls_cert_file, settings.tls_key_file) == (file, file)


def secretive() -> Settings:
    flags = {"--aibridge-openai-key": SECRET, "--database-url": f"sqlite:///{SECRET}"}
    return load(flags, {"ANTHROPIC_API_KEY": SECRET})


def test_settings_do_not_show_secrets() -> None:
    settings = secretive()

    assert settings.openai_key == SECRET
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert SECRET not in shown
        assert "openai_key=…" in shown
        assert "max_body_size=33554432" in shown
    assert "anthropic_key=None" in repr(load({}, {}))


def test_the_database_is_in_the_data_directory_unless_it_is_named() -> None:
    assert locate({"--data-dir": "/srv/ai"}, {}).database == "sqlite:////srv/ai/aibridge.db"
    assert secretive().database == f"sqlite:///{SECRET}"


def test_finding_the_data_does_not_depend_on_other_options(tmp_path: Path) -> None:
    config = tmp_path / "aibridge.yaml"
    config.write_text("data_dir: /srv/ai\naibridge: {openai_key_file: /not/readable, rate_limit: many}\n")

    found = locate({"--config": str(config)}, {"CODER_AIBRIDGE_ENABLED": "maybe"})

    assert found.database == "sqlite:////srv/ai/aibridge.db"


def test_unknown_variables_that_look_like_ours_are_told() -> None:
    environ = {
        "CODER_AIBRIDGE_RATE_LIMITS": "1",
        "CODER_AI_GATEWAY_XYZZY": "1",
        "CODER_AIBRIDGE_OPENAI_KEY_FILE": "/k",
        "CODER_AI_GATEWAY_ENABLED": "1",
        "CODER_UNRELATED": "1",
    }

    assert warnings_about(environ) == [
        "environment CODER_AIBRIDGE_RATE_LIMITS: unknown option, ignored; did you mean CODER_AIBRIDGE_RATE_LIMIT?",
        "environment CODER_AI_GATEWAY_XYZZY: unknown option, ignored",
    ]
