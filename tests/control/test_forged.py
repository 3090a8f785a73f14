"""What another site makes a browser send changes nothing, at whatever endpoint: the cookie alone is not enough."""

import re
from collections.abc import Iterator

import pytest
from control_driver import Answer
from control_world import PASSWORD, World, world

from aibridge.contract.endpoint import PREFIX, Access, Endpoint
from aibridge.contract.table import ENDPOINTS

CHANGING = [endpoint for endpoint in ENDPOINTS if endpoint.changes and endpoint.needs is not Access.PUBLIC]
REFUSAL = "Another site may have made this request."
FORGED: dict[str, dict[str, str]] = {
    "says nothing": {},
    "says another site": {"sec_fetch_site": "cross-site"},
    "says another host of this site": {"sec_fetch_site": "same-site"},
    "from elsewhere": {"origin": "https://evil.example.com"},
    "from another port": {"origin": "https://ai.example.com:8443"},
    "from nowhere": {"origin": "null"},
    "by http": {"origin": "http://ai.example.com"},
    "from a host that begins alike": {"origin": "https://ai.example.com.evil.org"},
    "only a referer": {"referer": "https://ai.example.com/"},
}
OURS: dict[str, dict[str, str]] = {
    "from a page of ours": {"sec_fetch_site": "same-origin"},
    "from our origin": {"origin": "https://ai.example.com"},
    "from where it went": {"origin": "http://127.0.0.1:4001", "host": "127.0.0.1:4001"},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("forged")) as made:
        yield made


@pytest.fixture
def here(shared: World) -> Iterator[World]:
    with shared.undone():
        shared.control = shared.composed()
        yield shared


def sent(world: World, endpoint: Endpoint, **headers: str) -> Answer:
    """A request of an owner's browser, whatever the parameters of the path."""
    path = PREFIX + re.sub(r"\{[^}]*\}", "x", endpoint.path)
    cookie = f"theme=dark; coder_session_token={world.tokens['owner']}"
    return world.control.call(path, method=endpoint.method, cookie=cookie, **headers)


@pytest.mark.parametrize("endpoint", CHANGING, ids=[endpoint.operation for endpoint in CHANGING])
def test_whatever_changes_something_is_refused_to_other_sites(here: World, endpoint: Endpoint) -> None:
    before = here.dump()
    for name, headers in FORGED.items():
        answer = sent(here, endpoint, **headers)
        assert (answer.status, answer.json["message"]) == (403, REFUSAL), name
    assert here.dump() == before


@pytest.mark.parametrize("endpoint", CHANGING, ids=[endpoint.operation for endpoint in CHANGING])
def test_pages_of_ours_and_programs_pass(here: World, endpoint: Endpoint) -> None:
    for name, headers in OURS.items():
        with here.undone():
            answer = sent(here, endpoint, **headers)
        assert not answer.body or answer.json.get("message") != REFUSAL, name
    with here.undone():
        answer = sent(here, endpoint, origin="https://evil.example.com", coder_session_token=here.tokens["owner"])
    assert not answer.body or answer.json.get("message") != REFUSAL, "who has the token is no page of another site"


def test_a_header_with_something_else_in_it_does_not_make_the_cookie_a_token(here: World) -> None:
    endpoint = next(each for each in CHANGING if each.operation == "logout")
    for headers in ({"authorization": "Bearer sk-other"}, {"x_api_key": here.tokens["mia"]}):
        assert sent(here, endpoint, **headers).status == 403
    assert sent(here, endpoint, sec_fetch_site="same-origin").status == 204


def test_what_is_only_read_may_come_from_anywhere(here: World) -> None:
    cookie = f"coder_session_token={here.tokens['owner']}"
    for method in ("GET", "HEAD"):
        answer = here.control.call(f"{PREFIX}/users/me", method=method, cookie=cookie, sec_fetch_site="cross-site")
        assert answer.status == 200
        assert "access-control-allow-origin" not in answer.headers, "and no other site may read it"


def test_no_other_site_signs_somebody_in(here: World) -> None:
    body = {"email": "mia@example.com", "password": PASSWORD}
    path = f"{PREFIX}/users/login"
    for headers in ({"sec_fetch_site": "cross-site"}, {"origin": "https://evil.example.com"}, {"origin": "null"}):
        answer = here.control.call(path, method="POST", body=body, **headers)
        assert answer.status == 403
        assert "set-cookie" not in answer.headers
    for headers in ({}, {"sec_fetch_site": "same-origin"}, {"origin": "https://ai.example.com"}):
        assert here.control.call(path, method="POST", body=body, **headers).status == 201


def test_no_answer_invites_another_site(here: World) -> None:
    for endpoint in ENDPOINTS:
        path = PREFIX + re.sub(r"\{[^}]*\}", "x", endpoint.path)
        asked = {"origin": "https://evil.example.com", "access_control_request_method": endpoint.method}
        answer = here.control.call(path, method="OPTIONS", **asked)
        assert answer.status == 405
        assert not any(name.startswith("access-control") for name in answer.headers)
