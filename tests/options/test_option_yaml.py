"""Options in a YAML file."""

import os
import threading
from pathlib import Path

import pytest

from aibridge.domain.price import Price
from aibridge.domain.rule import Rule, Unit
from aibridge.options import Address, OptionError, Settings, load, locate

SECRET = "sk-do-not-show"


class File:
    """A YAML file to load options from."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, text: str | bytes) -> Settings:
        self.path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load({"--config": str(self.path)}, {})

    def refusal(self, text: str | bytes) -> str:
        with pytest.raises(OptionError) as caught:
            self.load(text)
        message = str(caught.value)
        assert "\n" not in message
        assert SECRET not in message
        return message.replace(str(self.path), "FILE")


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "aibridge.yaml")


def test_options_stand_below_their_section(file: File) -> None:
    settings = file.load(
        """
        http_address: "[::1]:4001"
        trusted_proxies: [10.0.0.0/8, "fd00::/8"]
        aibridge:
          max_concurrency: 200
          enabled: no
          idle_timeout: 90
          max_body_size: 8MiB
        """
    )

    assert settings.http_address == Address("::1", 4001)
    assert settings.trusted_proxies == ("10.0.0.0/8", "fd00::/8")
    assert (settings.max_concurrency, settings.enabled) == (200, False)
    assert (settings.idle_timeout, settings.max_body_size) == (90.0, 8388608)


@pytest.mark.parametrize("text", ["", "# nothing\n", "aibridge:\n", "aibridge: {}\n", "{}"])
def test_a_file_may_say_nothing(file: File, text: str) -> None:
    assert file.load(text).sources["rate_limit"] == "default"


def test_a_list_may_be_written_with_commas(file: File) -> None:
    assert file.load("trusted_proxies: 10.0.0.0/8,192.0.2.0/24").trusted_proxies == ("10.0.0.0/8", "192.0.2.0/24")


def test_values_are_taken_as_written(file: File) -> None:
    settings = file.load("http_address: :4001\naibridge: {openai_key: 0123, anthropic_key: 1e3}")

    assert settings.http_address == Address("", 4001)
    assert (settings.openai_key, settings.anthropic_key) == ("0123", "1e3")


def test_the_newer_spelling_of_the_section_is_the_same_section(file: File) -> None:
    assert file.load("ai_gateway: {rate_limit: 7}").rate_limit == 7
    assert file.load("ai_gateway: {rate_limit: 7}\naibridge: {rate_limit: 7, enabled: false}").rate_limit == 7
    assert file.refusal("ai_gateway: {rate_limit: 7}\naibridge: {rate_limit: 8}") == (
        "--aibridge-rate-limit: file FILE, line 1, key ai_gateway.rate_limit and "
        'file FILE, line 2, key aibridge.rate_limit have different values ("7" and "8")'
    )


def test_a_key_given_twice_must_agree(file: File) -> None:
    assert file.refusal("data_dir: /a\ndata_dir: /b") == (
        "--data-dir: file FILE, line 1, key data_dir and file FILE, line 2, key data_dir "
        'have different values ("/a" and "/b")'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "aibridge:\n  max_concurency: 1",
            "file FILE, line 2, key aibridge.max_concurency: unknown option; did you mean aibridge.max_concurrency?",
        ),
        (
            "ai_gateway:\n  rate-limit: 1",
            "file FILE, line 2, key ai_gateway.rate-limit: unknown option; did you mean ai_gateway.rate_limit?",
        ),
        (
            "max_concurrency: 1",
            "file FILE, line 1, key max_concurrency: unknown option; did you mean aibridge.max_concurrency?",
        ),
        ("config: other.yaml", "file FILE, line 1, key config: unknown option"),
        ("xyzzy: 1", "file FILE, line 1, key xyzzy: unknown option"),
        ("aibridge: {xyzzy: 1}", "file FILE, line 1, key aibridge.xyzzy: unknown option"),
        ("? [a, b]\n: 1", "file FILE, line 1, key ?: unknown option"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(file: File, text: str, message: str) -> None:
    assert file.refusal(text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "file FILE, line 1: expected names with values below it"),
        (SECRET, "file FILE, line 1: expected names with values below it"),
        ("\naibridge: 5", "file FILE, line 2, key aibridge: expected names with values below it"),
        (f"aibridge:\n  openai_key: {SECRET}: x", "file FILE is not valid YAML near line 2, column 29"),
        (f"openai_key: *{SECRET}", "file FILE is not valid YAML near line 1, column 13"),
        ("a: 1\n---\nb: 2", "file FILE is not valid YAML near line 2, column 1"),
        ("a: \x00", "file FILE is not valid YAML in UTF-8"),
        (b"a: \xff", "file FILE is not valid YAML in UTF-8"),
    ],
)
def test_what_is_no_file_of_options_is_refused_with_the_place(file: File, text: str | bytes, message: str) -> None:
    assert file.refusal(text) == message


@pytest.mark.parametrize(
    ("text", "complaint", "allowed"),
    [
        (
            "aibridge:\n  rate_limit: [1]",
            "--aibridge-rate-limit: file FILE, line 2, key aibridge.rate_limit is not a single value",
            "a whole number, at least 0",
        ),
        (
            "trusted_proxies: [[10.0.0.0/8]]",
            "--trusted-proxies: file FILE, line 1, key trusted_proxies is not a single value",
            "networks such as 10.0.0.0/8 or fd00::/8, separated by commas, with no bits set beyond the prefix",
        ),
        (
            "aibridge:\n  rate_limit: -1",
            '--aibridge-rate-limit: "-1" from file FILE, line 2, key aibridge.rate_limit is not allowed',
            "a whole number, at least 0",
        ),
        (
            "data_dir:",
            "--data-dir: the value from file FILE, line 1, key data_dir is empty",
            "a path",
        ),
        (
            f"aibridge: {{openai_key: '{SECRET} x'}}",
            "--aibridge-openai-key: the value from file FILE, line 1, key aibridge.openai_key is not allowed",
            "one word of visible ASCII characters",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_the_place(file: File, text: str, complaint: str, allowed: str) -> None:
    assert file.refusal(text) == f"{complaint}; allowed: {allowed}"


def test_limits_and_prices_stand_beside_the_options(file: File) -> None:
    settings = file.load(
        """
        http_address: :4001
        limits: [{name: day, unit: cost, amount: 5, window: 1d}]
        prices: [{input: 1, output: 2}]
        """
    )

    assert settings.limits == (Rule(name="day", unit=Unit.COST, amount=5_000_000_000, window=86400.0),)
    assert settings.prices == (Price(input=1_000_000_000, output=2_000_000_000),)
    assert settings.http_address == Address("", 4001)
    assert file.refusal("limit: []") == "file FILE, line 1, key limit: unknown option; did you mean limits?"


def test_without_a_file_there_are_no_limits_and_no_prices() -> None:
    assert (load({}, {}).limits, load({}, {}).prices) == ((), ())


def test_limits_are_not_judged_where_only_the_data_is_looked_for(file: File) -> None:
    file.path.write_text("limits: [{}]\ndata_dir: /data")

    assert locate({"--config": str(file.path)}, {}).data_dir == Path("/data")


def test_a_file_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=["limits: [{name: a, unit: concurrent, amount: 1}]"])
    writer.start()

    assert len(load({"--config": str(pipe)}, {}).limits) == 1
    writer.join()


def test_a_secret_and_its_file_are_an_error_that_names_both(file: File) -> None:
    assert file.refusal("aibridge: {openai_key: a, openai_key_file: b}") == (
        "--aibridge-openai-key: give file FILE, line 1, key aibridge.openai_key or "
        "file FILE, line 1, key aibridge.openai_key_file, not both"
    )


def test_a_secret_can_stand_in_a_file_of_its_own(file: File, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")

    settings = file.load(f"aibridge: {{openai_key_file: {tmp_path / 'key'}}}")

    assert settings.openai_key == SECRET
    assert settings.sources["openai_key"] == f"file {file.path}, line 1, key aibridge.openai_key_file"


def test_an_absent_file_is_refused_with_who_named_it() -> None:
    with pytest.raises(OptionError) as caught:
        load({}, {"CODER_CONFIG_PATH": "/no/such.yaml"})

    assert str(caught.value) == (
        '--config: "/no/such.yaml" from environment CODER_CONFIG_PATH is not allowed; '
        "allowed: the path of a file that exists"
    )


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    # It can be opened, but nothing is mapped at its start: unreadable even for root.
    with pytest.raises(OptionError, match=r"^file /proc/self/mem cannot be read: Input/output error$"):
        load({"--config": "/proc/self/mem"}, {})
