"""TLS on both sides: to clients with a certificate of ours, to providers with one that is verified."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server.asking import CHAT, MESSAGES, ask, asked, asking, connection_to
from server.certificates import Authority, terminator
from server.life import Server, demo_provider, provided_by, serving

KEY = "sk-canary-of-the-provider"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    """A server that speaks TLS."""
    with serving(tmp_path_factory.mktemp("secure") / "data", *authority.flags()) as server:
        yield server


@pytest.fixture(scope="module")
def upstream(authority: Authority) -> Iterator[str]:
    """A provider that is reached by TLS."""
    with demo_provider() as url, terminator(url, authority.serving()) as secure:
        yield secure


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory, authority: Authority, upstream: str) -> Iterator[Server]:
    """A server that trusts the authority of its provider."""
    env = {"SSL_CERT_FILE": str(authority.root), "OPENAI_API_KEY": KEY}
    with serving(tmp_path_factory.mktemp("trusting") / "data", *provided_by(upstream), env=env) as server:
        yield server


@pytest.fixture(scope="module")
def doubting(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> Iterator[Server]:
    """A server that does not."""
    with serving(
        tmp_path_factory.mktemp("doubting") / "data", *provided_by(upstream), env={"OPENAI_API_KEY": KEY}
    ) as server:
        yield server


def test_the_welcome_names_an_https_url(secure: Server) -> None:
    assert secure.url.startswith("https://127.0.0.1:")
    assert f"curl {secure.url}/openai" in secure.said()


def test_a_call_is_answered_over_tls(secure: Server, authority: Authority) -> None:
    answer = ask(secure.url, CHAT, token=secure.token, model="demo", tls=authority.trusted())

    assert (answer.status, answer.whole) == (200, True)


def test_a_stream_comes_over_tls_event_by_event(secure: Server, authority: Authority) -> None:
    model = "demo?tokens=20&rate=100"
    with asking(secure.url, MESSAGES, token=secure.token, model=model, stream=True, tls=authority.trusted()) as stream:
        beginning = stream.some()
        answer = stream.rest()

    assert b"message_start" in beginning
    assert b"message_stop" not in beginning
    assert answer.whole
    assert answer.text.rstrip().endswith('data: {"type":"message_stop"}')


def test_a_stream_that_breaks_has_no_end_over_tls_either(secure: Server, authority: Authority) -> None:
    model = "demo?tokens=20&fault=truncate&after=3"
    answer = ask(secure.url, MESSAGES, token=secure.token, model=model, stream=True, tls=authority.trusted())

    assert answer.status == 200
    assert not answer.whole
    assert "event: error" in answer.text


def test_the_control_plane_is_served_over_tls(secure: Server, authority: Authority) -> None:
    answer = ask(secure.url, "/api/v2/buildinfo", tls=authority.trusted())

    assert answer.json["external_url"] == secure.url


def test_who_speaks_plain_http_gets_nothing(secure: Server, authority: Authority) -> None:
    where = urlsplit(secure.url)
    with socket.create_connection((where.hostname, where.port), timeout=5) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
        received = plain.recv(4096)

    assert not received.startswith(b"HTTP/")
    assert ask(secure.url, "/healthz", tls=authority.trusted()).status == 200


def test_clients_that_do_not_trust_the_certificate_stay_away(secure: Server) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(secure.url, "/healthz", tls=ssl.create_default_context())


def test_idle_tls_connections_do_not_delay_the_end(tmp_path: Path, authority: Authority) -> None:
    with serving(tmp_path / "data", *authority.flags()) as server, ExitStack() as connections:
        for path, model in ((CHAT, "demo"), ("/healthz", "")):
            used = connection_to(server.url, tls=authority.trusted())
            connections.callback(used.close)
            asked(used, path, token=server.token, model=model).rest()
        seconds = server.seconds_to_stop()

    assert seconds < 2


def test_a_provider_is_reached_by_tls(trusting: Server) -> None:
    assert ask(trusting.url, CHAT, token=trusting.token, model="demo").status == 200


def test_a_stream_of_a_provider_comes_by_tls_event_by_event(trusting: Server) -> None:
    model = "demo?tokens=20&rate=100"
    with asking(trusting.url, MESSAGES, token=trusting.token, model=model, stream=True) as stream:
        beginning = stream.some()
        answer = stream.rest()

    assert b"message_stop" not in beginning
    assert answer.whole
    assert answer.text.rstrip().endswith('data: {"type":"message_stop"}')


def test_a_stream_that_breaks_off_by_tls_is_told_from_one_that_ends(trusting: Server) -> None:
    answer = ask(
        trusting.url, MESSAGES, token=trusting.token, model="demo?tokens=9&fault=truncate&after=3", stream=True
    )

    assert not answer.whole
    assert "event: error" in answer.text


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_a_provider_whose_certificate_is_not_trusted_is_a_502_that_says_so(doubting: Server, path: str) -> None:
    answer = ask(doubting.url, path, token=doubting.token, model="demo")

    assert answer.status == 502
    assert answer.json["message"] == "No connection to the provider."
    assert answer.json["detail"] == "TLS: unable to get local issuer certificate"


def test_nobody_is_shown_a_secret_when_a_certificate_is_not_trusted(doubting: Server) -> None:
    answer = ask(doubting.url, CHAT, token=doubting.token, model="demo")
    everything = f"{answer.headers}{answer.text}{doubting.logged()}"

    assert KEY not in everything
    assert doubting.token not in everything


def test_a_call_that_could_not_be_made_is_recorded_as_failed(doubting: Server) -> None:
    ask(doubting.url, CHAT, token=doubting.token, model="unreachable")
    (record,) = doubting.interceptions(1, model="unreachable")

    assert (record["status"], record["error"], record["http_status"]) == ("failed", "upstream_unreachable", 502)
