"""How others were broken, and that we are not: a test for each kind of attack that this room could fall to.

Kinds that belong to other rooms, and where they are tried:

* the provider is chosen by the client, and is sent our key (LiteLLM, CVE-2024-6587): what a call may say is in
  `tests/gateway/test_relay_headers.py` and `test_relay_routes.py`, what an administrator may say is here;
* a custom host is checked by its looks (Portkey): `tests/domain/test_upstream_address.py`, and for what a name leads to
  `tests/gateway/test_whereabouts.py`;
* the bill is got around by hanging up (LiteLLM 32438): `tests/gateway/test_cancellation*.py`;
* fields that are not the caller's to set (LiteLLM, CVE-2026-47102): `test_raising.py`, beside this file;
* a forgotten route (LiteLLM, CVE-2026-12773) and the things of others (new-api, CVE-2026-30886): `test_matrix.py`;
* wildcards in a search (new-api, CVE-2026-25591): here, and for other listings `tests/store`;
* a password is guessed, a session is fixed or forged: `test_throttle.py`, `test_signin_api.py`, `test_csrf.py`;
* an open gateway is found by scanning: `tests/server/test_cannot_start.py`.
"""

import ast
import asyncio
import csv
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_driver import Answer
from control_world import PASSWORD, World, world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

import aibridge
from aibridge.contract.endpoint import PREFIX, Access, Endpoint
from aibridge.contract.table import ENDPOINTS
from aibridge.control.app import Dependencies, create_app
from aibridge.domain.permission import ACTIONS
from aibridge.options import OPTIONS

SOURCE = Path(aibridge.__file__).parent
LENIENT = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("attacks")) as made:
        yield made


@pytest.fixture
def here(shared: World) -> Iterator[World]:
    with shared.undone():
        shared.control = shared.composed()
        yield shared


def ask(world: World, who: str, path: str, method: str = "GET", body: object = None, **headers: str) -> Answer:
    return world.control.call(PREFIX + path, world.tokens[who], method=method, body=body, **headers)


def path_of(endpoint: Endpoint) -> str:
    """A path of this endpoint, whatever its parameters."""
    return PREFIX + re.sub(r"\{[^}]*\}", "x", endpoint.path)


# A forgotten route: LiteLLM, CVE-2026-12773


def test_the_endpoints_that_ask_for_no_permission_are_these() -> None:
    """Default deny: whoever adds one has to say so here as well."""
    public = {endpoint.operation for endpoint in ENDPOINTS if endpoint.needs is Access.PUBLIC}
    signed_in = {endpoint.operation for endpoint in ENDPOINTS if endpoint.needs is Access.SIGNED_IN}
    signing_in = {"auth_methods", "login_with_password", "oidc_login", "oidc_callback"}
    assert public == signing_in | {"build_info", "appearance", "first_user"}
    of_limits = {"limits", "watch_limits", "limit", "breakers"}
    assert signed_in == of_limits | {"experiments", "entitlements", "app_host", "check_authorization", "logout"}


async def metrics() -> bytes:
    return b""


def test_there_is_no_route_beside_the_table_but_these(here: World) -> None:
    dependencies = Dependencies(
        database=here.database,
        snapshot=lambda: here.known,
        ready=lambda: (True, {}),
        clock=lambda: 0.0,
        external_url=lambda: "",
        metrics=metrics,
    )
    routes = create_app(dependencies).routes
    assert all(isinstance(route, Route) for route in routes), "a mount would hide what is below it"
    paths = {route.path for route in routes if isinstance(route, Route)}
    of_the_table = {PREFIX + path for endpoint in ENDPOINTS for path in (endpoint.path, *endpoint.aliases)}
    documentation = {"/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"}
    beside = {"/healthz", "/readyz", "/metrics", f"{PREFIX}/openapi.json"} | documentation
    assert paths == of_the_table | beside


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "BOGUS"]
PUBLIC_PATHS = {endpoint.path for endpoint in ENDPOINTS if endpoint.needs is Access.PUBLIC}
GUARDED = [endpoint for endpoint in ENDPOINTS if endpoint.path not in PUBLIC_PATHS]


@pytest.mark.parametrize("endpoint", GUARDED, ids=[endpoint.operation for endpoint in GUARDED])
def test_no_method_is_a_way_around_the_token(here: World, endpoint: Endpoint) -> None:
    for method in METHODS:
        answer = here.control.call(path_of(endpoint), method=method)
        assert answer.status in (401, 405), (method, answer)
        assert (answer.status == 401) or endpoint.method in answer.headers["allow"]


@pytest.mark.parametrize(
    "path",
    [
        "//api/v2/users", "/api/v2//users", "/api/v2/users/", "/API/v2/users", "/api/v2/./users", "/api/v2/x/../users",
        "/api/v2/users;x", "/api/v2/users%00", "/api/v2/users\n", "/api/v2/users#", "/api/v2/buildinfo/../users",
        "/api/v2/buildinfo;/../users", "/healthz/../api/v2/users", "/docs/../api/v2/users", "/api/v3/users",
        "/docs\n", "/healthz\n", "/api/v2/users/mia\n",
    ],
)  # fmt: skip
def test_a_path_is_what_it_is(here: World, path: str) -> None:
    """Nothing is folded or decoded twice, so no check can be passed under another spelling."""
    for token in (None, here.tokens["owner"]):
        assert here.control.call(path, token).status == 404


def test_nobody_sets_up_what_is_set_up(here: World) -> None:
    """An open page to make the first administrator is open to whoever comes first."""
    answer = here.control.call(f"{PREFIX}/users", method="POST", body={"username": "first"})
    assert answer.status == 401
    assert here.control.call(f"{PREFIX}/users/first", method="POST", body={"username": "first"}).status == 405


# The Host header decides on a route: Starlette, CVE-2026-48710; LiteLLM, CVE-2026-49468; vLLM, CVE-2026-48746

HOSTS = [
    "a/b?c",
    "a?b",
    "a#b",
    "a/healthz?",
    "a@b",
    "a\\b",
    "a b",
    "[:",
    "[::1",
    "a:b",
    "a:80:80",
    "",
    " ",
    "ä",
    "a\tb",
    "a,b c",
]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=[endpoint.operation for endpoint in ENDPOINTS])
def test_a_host_that_is_none_is_refused_on_every_route(here: World, endpoint: Endpoint) -> None:
    before = here.dump()
    for host in ("a/b?c", "x/api/v2/buildinfo?"):
        for token in (None, here.tokens["owner"]):
            answer = here.control.call(path_of(endpoint), token, method=endpoint.method, host=host)
            assert (answer.status, answer.json["message"]) == (400, "The Host header is not one.")
    assert here.dump() == before


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_a_name_and_a_port(here: World, host: str) -> None:
    for path in ("/healthz", "/readyz", "/docs", f"{PREFIX}/openapi.json", f"{PREFIX}/users", "/nowhere"):
        assert here.control.call(path, here.tokens["owner"], host=host).status == 400, path


def test_two_hosts_are_none(here: World) -> None:
    hosts = [(b"host", b"a.example.com"), (b"host", b"b.example.com")]
    assert asyncio.run(here.control.sent("GET", "/healthz", hosts)).status == 400


@pytest.mark.parametrize(
    "host",
    ["ai.example.com", "ai.example.com:443", "127.0.0.1:4001", "[::1]:4001", "localhost", "a_b", "xn--bcher-kva", "A:"],
)
def test_a_host_that_is_one_decides_on_nothing(here: World, host: str) -> None:
    asked = here.control.call(f"{PREFIX}/users/me", here.tokens["mia"])
    assert here.control.call(f"{PREFIX}/users/me", here.tokens["mia"], host=host).body == asked.body
    told = here.control.call(f"{PREFIX}/buildinfo", host=host, x_forwarded_host="evil.example.com").json
    assert told["external_url"] == "https://ai.example.com", "links lead where the configuration says"


# SQL in what is looked up before anybody is known: LiteLLM, CVE-2026-42208

SQL = [
    "'",
    "' OR '1'='1",
    '"; DROP TABLE users; --',
    "1); DELETE FROM tokens; --",
    "aib_' UNION SELECT 1 --",
    "%",
    "\\",
    "\0",
]
WORDS = st.one_of(st.sampled_from(SQL), st.text(st.characters(max_codepoint=255), max_size=80))


@LENIENT
@given(
    WORDS,
    st.sampled_from(["authorization", "x-api-key", "coder-session-token", "cookie", "user-agent", "x-forwarded-for"]),
)
def test_whatever_stands_for_a_token_is_a_word(shared: World, text: str, place: str) -> None:
    before = shared.dump()
    value = {"authorization": f"Bearer {text}", "cookie": f"coder_session_token={text}"}.get(place, text)
    headers = [(place.encode(), value.encode("latin-1"))]
    answer = asyncio.run(shared.composed().sent("GET", f"{PREFIX}/users", headers))
    assert answer.status == 401
    assert answer.raised is None
    assert shared.dump() == before


def test_a_token_with_something_around_it_is_none(here: World) -> None:
    token = here.tokens["owner"]
    identifier = here.token_ids["owner"]
    for text in (
        token[:-1],
        token + "'",
        token.upper(),
        f"{token}--",
        token.replace(identifier, "' OR 1=1-"),
        identifier,
    ):
        assert here.control.call(f"{PREFIX}/users", text).status == 401
    for text in (f"{token} {token}", f"{token}, {token}"):
        assert here.control.call(f"{PREFIX}/users", text).status == 401


@pytest.mark.parametrize("text", [*SQL, "mia' --", "mia%27", "%6dia", "*", "mi_", "MIA\0", "\ud800"])
def test_whatever_stands_in_a_path_or_a_query_is_a_word(here: World, text: str) -> None:
    before = here.dump()
    words = text.encode("utf-8", "replace").decode()
    for path in (f"/users/{words}", f"/groups/{words}", f"/organizations/{words}", f"/users/mia/keys/tokens/{words}"):
        answer = here.control.call(PREFIX + path.replace("%", "\uff05"), here.tokens["owner"])
        assert answer.status == 404, (path, answer)
    for query in ("q", "actor", "after_id"):
        for path in ("/users", "/audit", "/aibridge/interceptions"):
            answer = here.control.call(f"{PREFIX}{path}?{query}={words.replace('%', '%25')}", here.tokens["owner"])
            assert answer.status in (200, 400), (path, answer)
    body = {"email": words, "password": words}
    assert here.control.call(f"{PREFIX}/users/login", method="POST", body=body).status == 401
    assert here.dump() == before


# Wildcards in a search: new-api, CVE-2026-25591


def test_a_search_has_no_wildcards(here: World) -> None:
    assert ask(here, "owner", "/users?q=mi").json["count"] >= 1
    for text in ("%25", "m%25a", "_", "mi_", "%5C", "%25" * 60, "*"):
        assert ask(here, "owner", f"/users?q={text}").json["count"] == 0, text
    assert ask(here, "owner", f"/users?q={'a' * 257}").status == 400
    begun = time.perf_counter()
    ask(here, "owner", "/users?q=" + "a%25" * 64)
    assert time.perf_counter() - begun < 2.0


# A token makes one that may do more: LiteLLM, CVE-2026-47101 (`allowed_routes`)

NAMES = [f"{resource}:{action}" for resource, actions in ACTIONS.items() for action in actions]
WIDE = [f"{resource}:*" for resource in ACTIONS]
SCOPES = st.lists(st.sampled_from([*NAMES, *WIDE, "all", "coder:all"]), min_size=1, max_size=4)
LISTS = st.none() | st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3)


def spelled(scopes: list[str]) -> set[str]:
    """The scopes with everything written out."""
    found: set[str] = set()
    for scope in scopes:
        resource, _, action = scope.partition(":")
        if scope in ("all", "coder:all"):
            found |= set(NAMES)
        elif action == "*":
            found |= {name for name in NAMES if name.startswith(f"{resource}:")}
        else:
            found.add(scope)
    return found


@LENIENT
@given(SCOPES, SCOPES, LISTS)
def test_no_token_makes_a_wider_one(
    shared: World, parents: list[str], children: list[str], only: list[str] | None
) -> None:
    with shared.undone():
        shared.token("parent", "owner", scopes=(*parents, "api_key:create"))
        asyncio.run(shared.refresh())
        body = {"token_name": "child", "scopes": children, "allow_list": only}
        answer = shared.control.call(
            f"{PREFIX}/users/me/keys/tokens",
            shared.tokens["parent"],
            method="POST",
            body=body,
            x_coder_bypass_ratelimit="1",
        )
        narrower = spelled(children) <= spelled([*parents, "api_key:create"])
        assert answer.status == (201 if narrower else 400), (parents, children, answer)
        if narrower:
            shown = shared.control.call(f"{PREFIX}/users/me/keys/{answer.json['id']}", shared.tokens["owner"]).json
            assert shown["allow_list"] == only
            assert spelled(shown["scopes"]) == spelled(children)


# Code that is run from what is configured or sent: LiteLLM, CVE-2026-40217 and CVE-2026-42271

FORBIDDEN_CALLS = {"eval", "exec", "__import__"}
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "marshal",
    "shelve",
    "jinja2",
    "mako",
    "subprocess",
    "commands",
    "code",
}
FORBIDDEN_ATTRIBUTES = {
    *(
        ("yaml", name)
        for name in ("load", "load_all", "unsafe_load", "full_load", "FullLoader", "UnsafeLoader", "Loader")
    ),
    *(("os", name) for name in ("system", "popen", "execv", "execve", "spawnl")),
    *(("asyncio", name) for name in ("create_subprocess_shell",)),
}


def test_nothing_of_ours_runs_what_it_reads() -> None:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
                found.append(f"{path.name}:{node.lineno}: {node.func.id}()")
            if isinstance(node, ast.Attribute) and (_owner(node), node.attr) in FORBIDDEN_ATTRIBUTES:
                found.append(f"{path.name}:{node.lineno}: {_owner(node)}.{node.attr}")
            if isinstance(node, ast.keyword) and node.arg == "shell":
                found.append(f"{path.name}:{node.lineno}: shell=")
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{path.name}: import {name}" for name in names if name.partition(".")[0] in FORBIDDEN_MODULES]
    assert found == []


def _owner(node: ast.Attribute) -> str:
    return node.value.id if isinstance(node.value, ast.Name) else ""


def test_the_search_for_such_code_does_find_it() -> None:
    tree = ast.parse("import yaml\nyaml.load(x)\neval(y)")
    found = {(_owner(node), node.attr) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert found & FORBIDDEN_ATTRIBUTES
    assert len(list(SOURCE.rglob("*.py"))) > 100


@pytest.mark.parametrize(
    "text", ["{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "__import__('os')", "!!python/object/apply:os.system [id]"]
)
def test_what_is_sent_comes_back_as_it_was(here: World, text: str) -> None:
    assert ask(here, "owner", "/appearance", "PUT", {"application_name": text}).json["application_name"] == text
    assert ask(here, "mia", "/users/me/profile", "PUT", {"name": text}).json["name"] == text


def test_what_is_deeply_nested_or_large_is_refused_and_nothing_else(here: World) -> None:
    for body in (
        b"[" * 100_000,
        b'{"checks":' * 5000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b"\xff\xfe",
        b"",
        b"null",
        b"[]",
    ):
        answer = ask(here, "mia", "/authcheck", "POST", body)
        assert answer.status == 400, (body[:20], answer)
        assert answer.raised is None
    assert ask(here, "mia", "/authcheck", "POST", b"x" * ((1 << 20) + 1)).status == 413


# A default secret, or one that follows from what is public: an MCP gateway, GHSA-g53w-w6mj-hrpp


def test_no_secret_has_a_default() -> None:
    secrets = [option for option in OPTIONS if option.secret]
    assert len(secrets) >= 5
    assert [option.field for option in secrets if option.default] == []


def test_no_secret_of_the_configuration_is_told(here: World) -> None:
    from aibridge.options import load  # noqa: PLC0415

    canaries = {f"--{option.flag.lstrip('-')}": "" for option in OPTIONS if option.secret}
    given = {flag: f"canary{number}" for number, flag in enumerate(sorted(canaries))}
    given = {flag: value for flag, value in given.items() if not any(word in flag for word in ("url", "keys"))}
    given |= {"--redis-url": "redis://:canary-r@127.0.0.1/0", "--postgres-url": "postgresql://u:canary/p@127.0.0.1/db"}
    known = {option.flag for option in OPTIONS}
    loaded = load({flag: value for flag, value in given.items() if flag in known}, {})
    control = here.composed(settings=loaded)
    for who in ("owner", "auditor"):
        body = control.call(f"{PREFIX}/deployment/config", here.tokens[who]).body
        assert b"canary" not in body
        assert b"********" in body


# The provider is somewhere else, and is sent the key: LiteLLM, CVE-2024-6587

INSIDE = [
    "https://127.0.0.1", "https://localhost", "https://169.254.169.254/latest", "https://[::1]", "https://0x7f.1",
    "https://2130706433", "https://[::ffff:10.0.0.1]", "https://user@127.0.0.1", "https://api.example.com@10.0.0.1",
    "http://api.example.com", "file:///etc/passwd", "gopher://api.example.com", "https://api.example.com\\@10.0.0.1",
    "https://127.0.0.1.", "//api.example.com", "https://",
]  # fmt: skip


@pytest.mark.parametrize("url", INSIDE)
def test_a_provider_is_not_put_inside(here: World, url: str) -> None:
    body = {"name": "new", "kind": "openai", "base_url": url}
    answer = ask(here, "owner", "/aibridge/providers", "POST", body)
    assert (answer.status, answer.fields) == (400, ["base_url"]), answer
    answer = ask(here, "owner", "/aibridge/providers/vendor", "PATCH", {"base_url": url, "key": None})
    assert (answer.status, answer.fields) == (400, ["base_url"]), answer


def test_a_key_is_not_taken_along_to_another_host(here: World) -> None:
    """Whoever may change a provider may not read its key: they could else have it sent to themselves."""
    path = "/aibridge/providers/vendor"
    answer = ask(here, "owner", path, "PATCH", {"base_url": "https://evil.example.org"})
    assert (answer.status, answer.fields) == (400, ["key"])
    assert ask(here, "owner", path, "PATCH", {"base_url": "https://api.example.com/v2"}).status == 200
    assert (
        ask(here, "owner", path, "PATCH", {"base_url": "https://api.example.org", "key": "sk-another-key-of-it"}).status
        == 200
    )


def test_a_key_goes_in_and_never_comes_out(here: World) -> None:
    body = {"name": "new", "kind": "openai", "base_url": "https://api.example.org", "key": "sk-canary-1234567890"}
    told = [ask(here, "owner", "/aibridge/providers", "POST", body).body]
    told += [
        ask(here, "owner", path).body
        for path in ("/aibridge/providers", "/aibridge/providers/new", "/audit", "/audit/csv")
    ]
    told += [ask(here, "owner", "/aibridge/providers/new", "PATCH", {"key": "sk-canary-0987654321"}).body]
    told += [ask(here, "owner", "/aibridge/providers/new", "PATCH", {"key": "sk canary"}).body]
    told += [str(entry).encode() for entry in here.entries()]
    assert not any(b"canary" in body for body in told)
    assert not any(b"canary" in str(row).encode() for rows in here.dump().values() for row in rows)


def test_a_token_and_a_password_are_in_no_listing_and_no_log(here: World) -> None:
    made = ask(
        here, "mia", "/users/me/keys/tokens", "POST", {"token_name": "x", "organization_id": str(here.here)}
    ).json
    rotated = ask(here, "mia", f"/users/me/keys/{made['id']}/rotate", "POST", {}).json
    login = {"email": "mia@example.com", "password": PASSWORD}
    session = here.control.call(f"{PREFIX}/users/login", method="POST", body=login).json["session_token"]
    paths = ("/users/me/keys/tokens?include_expired=true", "/users/me", f"/users/me/keys/{made['id']}")
    told = [ask(here, "mia", path).body for path in paths] + [ask(here, "owner", "/audit").body]
    told += [str(rows).encode() for rows in here.dump().values()]
    for secret in (made["key"], rotated["key"], session, PASSWORD, here.tokens["mia"]):
        assert not any(secret.encode() in body for body in told)


# Supply chain: litellm 1.82.7 came with a .pth file that ran at every start of Python


def test_what_we_ship_has_no_file_that_python_runs_by_itself() -> None:
    kinds = {path.suffix for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert kinds <= {".py", ".md", ".typed", ".html", ".js", ".css", ".txt", ".yaml", ".json", ".mako", ".lua", ""}
    assert not list(SOURCE.rglob("sitecustomize.py")) + list(SOURCE.rglob("*.pth"))


def test_what_we_are_built_from_is_pinned_by_hash() -> None:
    folder = SOURCE.parent.parent / "requirements"
    locked = sorted(folder.glob("*.txt"))
    assert locked
    for path in locked:
        pinned = re.findall(r"^[a-z0-9][\w.\[\],-]*==\S+(.*(?:\n .*)*)", path.read_text(), re.MULTILINE)
        assert pinned, path.name
        assert all("--hash=sha256:" in rest for rest in pinned), path.name


# A spreadsheet runs what it opens (OWASP, CSV injection)


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1"])
def test_a_spreadsheet_runs_nothing_of_the_audit_log(here: World, text: str) -> None:
    body = {"name": "x"}
    here.control.call(f"{PREFIX}/users/me/profile", here.tokens["mia"], method="PUT", body=body, user_agent=text)
    rows = list(csv.reader(io.StringIO(ask(here, "owner", "/audit/csv").body.decode(), newline="")))
    assert any(f"'{text}" in row for row in rows), "it is there, as text"
    assert not any(cell[:1] in {"=", "+", "-", "@", "\t", "\r"} for row in rows for cell in row)
