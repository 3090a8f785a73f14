"""The rate limit of the API: by user or address and endpoint, and the header that only owners may send."""

from collections.abc import Iterator

import pytest
from control_driver import Answer, Control
from control_world import World, world

from aibridge.contract.endpoint import PREFIX
from aibridge.control import rate
from aibridge.options import load

LIMIT = 3
ME = f"{PREFIX}/users/me"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("rate")) as made:
        yield made


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate, "monotonic", clock)
    return clock


@pytest.fixture
def paced(shared: World, clock: Clock) -> Iterator[Control]:
    """A control plane that allows three requests a minute; the address is what X-Forwarded-For says."""

    def address_of(peer: str, headers: list[tuple[bytes, bytes]]) -> str:
        return dict(headers).get(b"x-forwarded-for", peer.encode()).decode()

    with shared.undone():
        yield shared.composed(settings=load({"--api-rate-limit": str(LIMIT)}, {}), address_of=address_of)


def statuses(control: Control, token: str | None, path: str = ME, times: int = LIMIT + 1, **headers: str) -> list[int]:
    return [control.call(path, token, **headers).status for _ in range(times)]


def test_beyond_the_limit_the_answer_says_how_long(shared: World, paced: Control, clock: Clock) -> None:
    assert statuses(paced, shared.tokens["mia"]) == [200, 200, 200, 429]
    clock.now += 20.0
    answer = paced.call(ME, shared.tokens["mia"])
    assert answer.json["message"] == "You've been rate limited for sending more than 3 requests in 60s."
    assert answer.json["detail"] == "The limit is --api-rate-limit, for each user and endpoint."
    assert int(answer.headers["retry-after-ms"]) >= 40_000
    assert answer.headers["ratelimit-policy"] == '"api";q=3;w=60'
    clock.now += 39.9
    assert paced.call(ME, shared.tokens["mia"]).status == 429, (
        "what is refused is not counted, and does not help either"
    )
    clock.now += 0.1
    assert paced.call(ME, shared.tokens["mia"]).status == 200


def test_every_user_and_every_endpoint_has_its_own(shared: World, paced: Control) -> None:
    assert statuses(paced, shared.tokens["mia"])[-1] == 429
    assert statuses(paced, shared.tokens["mia"], f"{PREFIX}/users")[:LIMIT] == [200] * LIMIT
    assert statuses(paced, shared.tokens["ben"])[:LIMIT] == [200] * LIMIT


def test_the_tokens_of_one_user_share_it_from_wherever(shared: World, paced: Control) -> None:
    second = shared.token("mia-2", "mia", of=shared.here)
    shared.known = shared.present_snapshot()
    assert statuses(paced, shared.tokens["mia"], times=2, x_forwarded_for="192.0.2.1") == [200, 200]
    assert statuses(paced, second, times=2, x_forwarded_for="192.0.2.2") == [200, 429]


def test_an_alias_and_another_parameter_are_the_same_endpoint(shared: World, paced: Control) -> None:
    owner = shared.tokens["owner"]
    paths = ["/users/mia", "/users/ben", "/users/noa", "/users/owner"]
    assert [paced.call(PREFIX + path, owner).status for path in paths] == [200, 200, 200, 429]
    paths = ["/aibridge/limits", "/ai-gateway/limits", "/aibridge/limits", "/ai-gateway/limits"]
    assert [paced.call(PREFIX + path, owner).status for path in paths] == [200, 200, 200, 429]


def test_who_is_refused_is_counted_too(shared: World, paced: Control) -> None:
    assert statuses(paced, shared.tokens["mia"], f"{PREFIX}/users/owner") == [404, 404, 404, 429]
    assert statuses(paced, shared.tokens["mia"], f"{PREFIX}/audit") == [403, 403, 403, 429]


def test_what_is_public_is_counted_by_address(paced: Control) -> None:
    path = f"{PREFIX}/buildinfo"
    assert statuses(paced, None, path, x_forwarded_for="192.0.2.1") == [200, 200, 200, 429]
    assert statuses(paced, None, path, x_forwarded_for="192.0.2.2")[0] == 200
    assert statuses(paced, None, path, times=2, x_forwarded_for="2001:db8::1") == [200, 200]
    assert statuses(paced, None, path, times=2, x_forwarded_for="2001:db8::2:1") == [200, 429]


def test_nobody_spends_what_is_somebodys(shared: World, paced: Control) -> None:
    assert statuses(paced, "aib_nothing", times=10) == [401] * 10
    assert statuses(paced, shared.tokens["mia"])[:LIMIT] == [200] * LIMIT


def test_zero_is_no_limit(shared: World) -> None:
    control = shared.composed(settings=load({"--api-rate-limit": "0"}, {}))
    assert statuses(control, shared.tokens["mia"], times=20) == [200] * 20


def test_the_usual_limit_is_512(shared: World, clock: Clock) -> None:
    control = shared.composed()
    found = [control.call("/api/v2/experiments", shared.tokens["mia"]).status for _ in range(513)]
    assert found == [200] * 512 + [429]


# X-Coder-Bypass-Ratelimit


def bypassing(control: Control, token: str | None, value: str, path: str = ME) -> Answer:
    return control.call(path, token, x_coder_bypass_ratelimit=value)


@pytest.mark.parametrize("value", ["true", "1", "t", "T", "TRUE", "True", " true "])
def test_an_owner_is_not_limited_who_says_so(shared: World, paced: Control, value: str) -> None:
    assert statuses(paced, shared.tokens["owner"])[-1] == 429
    assert [bypassing(paced, shared.tokens["owner"], value).status for _ in range(10)] == [200] * 10
    assert paced.call(ME, shared.tokens["owner"]).status == 429


@pytest.mark.parametrize("who", ["mia", "auditor", "user-admin", "admin-here", "bot", "chief"])
def test_anybody_else_who_says_so_is_told_that_it_does_not_hold(shared: World, paced: Control, who: str) -> None:
    for path in (ME, f"{PREFIX}/users", f"{PREFIX}/buildinfo"):
        answer = bypassing(paced, shared.tokens[who], "true", path)
        assert answer.status == 428
        assert answer.json["message"] == '"X-Coder-Bypass-Ratelimit" provided but user is not owner.'
    assert statuses(paced, shared.tokens[who])[:LIMIT] == [200] * LIMIT, "and has spent nothing"


def test_what_is_public_knows_an_owner_as_well(shared: World, paced: Control) -> None:
    path = f"{PREFIX}/buildinfo"
    assert [bypassing(paced, shared.tokens["owner"], "true", path).status for _ in range(10)] == [200] * 10
    assert bypassing(paced, None, "true", path).status == 428
    assert bypassing(paced, "aib_nothing", "true", path).status == 428


@pytest.mark.parametrize("value", ["false", "0", "", "yes", "on", "tRUE", "true,true"])
def test_what_is_not_true_changes_nothing(shared: World, paced: Control, value: str) -> None:
    for who in ("mia", "owner"):
        found = [bypassing(paced, shared.tokens[who], value).status for _ in range(LIMIT + 1)]
        assert found == [200, 200, 200, 429]


def test_nobody_who_is_unknown_is_told_more_than_that(paced: Control) -> None:
    assert bypassing(paced, None, "true").status == 401
