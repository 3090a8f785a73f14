"""How the text of an option becomes a value."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge import options_kinds as kinds
from aibridge.options_kinds import Address, Kind, Option


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (kinds.WHOLE, "0", 0),
        (kinds.WHOLE, "-3", -3),
        (kinds.TRUTH, "true", True),
        (kinds.TRUTH, "FALSE", False),
        (kinds.TRUTH, "1", True),
        (kinds.TRUTH, "0", False),
        (kinds.TRUTH, "yes", True),
        (kinds.TRUTH, "No", False),
        (kinds.DURATION, "10s", 10.0),
        (kinds.DURATION, "1.5s", 1.5),
        (kinds.DURATION, "2m", 120.0),
        (kinds.DURATION, "500ms", 0.5),
        (kinds.DURATION, "60d", 60 * 86400.0),
        (kinds.DURATION, "1h30m", 5400.0),
        (kinds.DURATION, "7", 7.0),
        (kinds.DURATION, "0.25", 0.25),
        (kinds.SIZE, "32MiB", 33554432),
        (kinds.SIZE, "1048576", 1048576),
        (kinds.SIZE, "64KiB", 65536),
        (kinds.SIZE, "1GiB", 1073741824),
        (kinds.SIZE, "2MB", 2000000),
        (kinds.SIZE, "9B", 9),
        (kinds.ADDRESS, "127.0.0.1:4001", Address("127.0.0.1", 4001)),
        (kinds.ADDRESS, "[::1]:4001", Address("::1", 4001)),
        (kinds.ADDRESS, "[0:0:0:0:0:0:0:1]:80", Address("::1", 80)),
        (kinds.ADDRESS, ":4001", Address("", 4001)),
        (kinds.ADDRESS, "gateway.example:0", Address("gateway.example", 0)),
        (kinds.NETWORKS, "10.0.0.0/8", ("10.0.0.0/8",)),
        (kinds.NETWORKS, "10.0.0.0/8, fd00::/8,192.0.2.7", ("10.0.0.0/8", "fd00::/8", "192.0.2.7/32")),
        (kinds.BASE_URL, "https://api.example/v1", "https://api.example/v1"),
        (kinds.TEXT, "sqlite:///über uns.db", "sqlite:///über uns.db"),
        (kinds.KEY, "sk-proj_1", "sk-proj_1"),
        (kinds.PATH, "/var/lib", Path("/var/lib")),
        (kinds.PATH, "~/data", Path.home() / "data"),
    ],
)
def test_text_becomes_a_value(kind: Kind, text: str, value: object) -> None:
    parsed = kind.parse(text)

    assert parsed == value
    assert type(parsed) is type(value) or isinstance(value, Path)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (kinds.WHOLE, "1.0"),
        (kinds.WHOLE, "1_000"),
        (kinds.WHOLE, " 1"),
        (kinds.WHOLE, "٣"),
        (kinds.WHOLE, "9" * 5000),
        (kinds.TRUTH, "on"),
        (kinds.TRUTH, "2"),
        (kinds.DURATION, "soon"),
        (kinds.DURATION, "-1s"),
        (kinds.DURATION, "10 s"),
        (kinds.DURATION, "10w"),
        (kinds.DURATION, "inf"),
        (kinds.DURATION, "nan"),
        (kinds.SIZE, "32M"),
        (kinds.SIZE, "1.5MiB"),
        (kinds.SIZE, "-1"),
        (kinds.ADDRESS, "4001"),
        (kinds.ADDRESS, "127.0.0.1"),
        (kinds.ADDRESS, "::1:4001"),
        (kinds.ADDRESS, "[::g]:4001"),
        (kinds.ADDRESS, "[]:4001"),
        (kinds.ADDRESS, "http://localhost:4001"),
        (kinds.ADDRESS, "localhost:65536"),
        (kinds.NETWORKS, "10.0.0.1/8"),
        (kinds.NETWORKS, "10.0.0.0/8,"),
        (kinds.NETWORKS, "everybody"),
        (kinds.BASE_URL, "api.example/v1"),
        (kinds.BASE_URL, "ftp://api.example"),
        (kinds.BASE_URL, "https://ada:pw@api.example"),
        (kinds.BASE_URL, "https://api.example:port"),
        (kinds.TEXT, "two\nlines"),
        (kinds.KEY, "sk two"),
        (kinds.KEY, "sk\r\nX-Evil: 1"),
        (kinds.KEY, "schlüssel"),
        (kinds.PATH, "a\0b"),
        (kinds.PATH, "~nobody-of-this-name/data"),
        (kinds.FILE, "/"),
        (kinds.FILE, "/no/such/file"),
    ],
)
def test_other_text_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        kind.parse(text)


def test_a_file_is_one_that_exists(tmp_path: Path) -> None:
    file = tmp_path / "chain.pem"
    file.touch()

    assert kinds.FILE.parse(str(file)) == file


@given(st.text())
def test_garbage_never_raises_anything_but_value_error(text: str) -> None:
    for kind in (kinds.WHOLE, kinds.TRUTH, kinds.DURATION, kinds.SIZE, kinds.ADDRESS, kinds.NETWORKS, kinds.BASE_URL):
        try:
            kind.parse(text)
        except ValueError:
            continue


@given(st.integers(0, 10**9))
def test_a_plain_number_is_that_many_seconds(seconds: int) -> None:
    assert kinds.duration(str(seconds)) == kinds.duration(f"{seconds}s") == seconds


@pytest.mark.parametrize("text", ["127.0.0.1:4001", "[::1]:4001", ":4001", "localhost:0"])
def test_an_address_is_shown_as_it_is_written(text: str) -> None:
    assert str(kinds.ADDRESS.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        (":1", False),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("localhost.example:1", False),
    ],
)
def test_only_this_machine_reaches_a_loopback_address(text: str, *, is_loopback: bool) -> None:
    assert kinds.ADDRESS.parse(text).is_loopback is is_loopback


def test_bounds_belong_to_what_is_allowed() -> None:
    option = Option("", "wait", kinds.DURATION, "1s", "", "", minimum="500ms", maximum="1m")

    assert option.allowed == "a duration such as 10s, 1.5s, 2m or 500ms, at least 500ms and at most 1m"
    assert [option.parse(text) for text in ("0.5", "60s")] == [0.5, 60.0]
    for text in ("499ms", "61s"):
        with pytest.raises(ValueError, match="out of bounds"):
            option.parse(text)
