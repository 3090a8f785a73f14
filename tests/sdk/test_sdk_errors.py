"""What a client raises, and what stands in it."""

import socket
from typing import Any

import httpx2
import msgspec
import pytest

from aibridge.sdk import Error
from aibridge.sdk.client import is_connection_error
from sdk.sdk_server import Answer, Ask, Server

HTML = {"content-type": "text/html; charset=utf-8"}


def refused(ask: Ask, server: Server, answer: Answer, response: Any = None) -> Error:
    server.answers.append(answer)
    with pytest.raises(Error) as caught:
        ask(lambda client: client.request("PUT", "/things/1", response=response))
    return caught.value


def test_an_error_says_what_was_asked_and_what_is_wrong_with_it(ask: Ask, server: Server) -> None:
    body = {"message": "No.", "detail": "Because.", "validations": [{"field": "name", "detail": "too long"}], "more": 1}
    error = refused(ask, server, Answer(400, msgspec.json.encode(body)))
    assert (error.status, error.method, error.url) == (400, "PUT", f"{server.url}/things/1")
    assert (error.message, error.detail, error.helper) == ("No.", "Because.", "")
    assert [(at.field, at.detail) for at in error.validations] == [("name", "too long")]
    assert isinstance(error.response, httpx2.Response)
    assert error.response.json() == body
    assert str(error) == f"PUT {server.url}/things/1: status 400: No.\n\tdetail: Because.\n\tname: too long"


def test_what_is_not_json_is_shown_at_its_beginning(ask: Ask, server: Server) -> None:
    error = refused(ask, server, Answer(502, b"x" * 1024 + b"y" * 1024, HTML))
    assert error.message == "unexpected non-JSON response"
    assert error.detail == f"content type text/html; charset=utf-8: {'x' * 1024}"
    assert "URL" in error.helper


def test_what_has_no_type_is_not_json_either(ask: Ask, server: Server) -> None:
    error = refused(ask, server, Answer(502, b'{"message":"x"}', {}))
    assert error.message == "unexpected non-JSON response"
    assert error.detail.startswith("content type none: ")


def test_an_empty_body_says_so(ask: Ask, server: Server) -> None:
    assert refused(ask, server, Answer(500, b"")).message == "no response body"


@pytest.mark.parametrize("body", [b"{}", b'{"error":{"message":"x"}}', b"[]", b"half {", b'{"message":""}'])
def test_json_without_a_message_says_so(ask: Ask, server: Server, body: bytes) -> None:
    error = refused(ask, server, Answer(418, body))
    assert error.message == "unexpected status code 418, response has no message"
    assert error.status == 418


@pytest.mark.parametrize(
    ("body", "headers"), [(b'{"message":"Who?"}', {"content-type": "application/json"}), (b"x", {})]
)
def test_unauthenticated_says_how_to_sign_in(ask: Ask, server: Server, body: bytes, headers: dict[str, str]) -> None:
    error = refused(ask, server, Answer(401, body, headers))
    assert "`aibridge login`" in error.helper
    assert "`aibridge login`" in str(error)


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"", "no response body"), (b"{}", "unexpected response body"), (b"{", "unexpected response body")],
)
def test_a_success_that_is_not_what_was_wanted_is_an_error(ask: Ask, server: Server, body: bytes, message: str) -> None:
    class Wanted(msgspec.Struct):
        name: str

    assert refused(ask, server, Answer(200, body), Wanted).message == message


def test_a_success_that_is_a_page_is_an_error(ask: Ask, server: Server) -> None:
    assert refused(ask, server, Answer(200, b"<html>", HTML), dict[str, str]).message == "unexpected non-JSON response"


def test_nothing_is_expected_of_what_is_not_looked_at(ask: Ask, server: Server) -> None:
    server.answers += [Answer(204, b"", {}), Answer(200, b"<html>", HTML)]
    for _ in range(2):
        assert ask(lambda client: client.request("DELETE", "/")) is None


def test_bytes_are_given_as_they_came(ask: Ask, server: Server) -> None:
    server.answers.append(Answer(200, b"a,b\n", {"content-type": "text/csv"}))
    assert ask(lambda client: client.request("GET", "/", response=bytes)) == b"a,b\n"


def test_types_of_json_with_another_name_are_json(ask: Ask, server: Server) -> None:
    server.answers.append(Answer(200, b"[1]", {"content-type": "application/vnd.x+json; charset=utf-8"}))
    assert ask(lambda client: client.request("GET", "/", response=list[int])) == [1]


def test_a_server_that_is_not_there_is_a_connection_error(ask: Ask) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(httpx2.TransportError) as caught:
            ask(lambda client: client.request("GET", "/"), url=f"http://127.0.0.1:{unheard.getsockname()[1]}")
    assert is_connection_error(caught.value)


def test_connection_errors_are_told_from_others() -> None:
    assert is_connection_error(socket.gaierror())
    assert is_connection_error(ConnectionResetError())
    assert is_connection_error(httpx2.ReadError("x"))
    assert is_connection_error(httpx2.ConnectTimeout("x"))
    assert not is_connection_error(httpx2.ReadTimeout("x"))
    assert not is_connection_error(ValueError())
    assert not is_connection_error(OSError())


def test_a_connection_error_is_found_below_another() -> None:
    error = ValueError()
    error.__cause__ = RuntimeError()
    error.__cause__.__context__ = ConnectionRefusedError()
    assert is_connection_error(error)
    error.__cause__.__suppress_context__ = True
    assert not is_connection_error(error)
