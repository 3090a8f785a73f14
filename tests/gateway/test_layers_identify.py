"""`identify` alone: whose call it is, and what strangers are told."""

import secrets
from weakref import ref

import pytest
from layer_cases import a_call

from aibridge.domain.actor import Actor
from aibridge.domain.errors import CallError, Forbidden, RateLimited, Unauthenticated
from aibridge.domain.snapshot import Snapshot
from aibridge.domain.token import KnownToken, MintedToken, mint
from aibridge.gateway.call import Call
from aibridge.gateway.identify import identify
from aibridge.overload.keyed import Keyed
from aibridge.overload.rate import ExactWindow, RateLimiter

NOW = 1_767_225_600.0
CARRIERS = (
    (b"authorization", b"Bearer %b"),
    (b"authorization", b"bearer %b"),
    (b"authorization", b"BEARER   %b "),
    (b"x-api-key", b"%b"),
    (b"x-goog-api-key", b"%b"),
    (b"coder-session-token", b"%b"),
    (b"x-coder-ai-governance-token", b"%b"),
)


class Door:
    """The layer with a world of two tokens, one of them expired."""

    def __init__(self, *, failures: int = 1000, allow_byok: bool = True) -> None:
        self.ours, self.expired, self.unknown = (
            mint(secrets.randbelow),
            mint(secrets.randbelow),
            mint(secrets.randbelow),
        )
        self.read_only = mint(secrets.randbelow)
        self.known = {
            self.ours.id: known(self.ours, "mia", expires_at=NOW + 1),
            self.read_only.id: known(self.read_only, "rob", may_call=False),
            self.expired.id: known(self.expired, "eve", expires_at=NOW),
        }
        self.monotonic = 0.0
        self.now = NOW
        self.snapshot = Snapshot(tokens=self.known)
        self.used: dict[str, int] = {}
        strangers: Keyed[str, RateLimiter] = Keyed(
            lambda: ExactWindow(failures, 1.0, "address"), lambda limiter, now: limiter.idle(now), 100
        )
        self._check = identify(
            lambda: self.snapshot,
            strangers,
            self.used,
            allow_byok=allow_byok,
        )

    def enter(self, *headers: tuple[bytes, bytes], address: str = "192.0.2.1") -> Call:
        call = a_call(*headers, address=address)
        refusal = self.refusal(call)
        if refusal is not None:
            raise refusal
        return call

    def refusal(self, call: Call) -> CallError | None:
        """What a call is told that may repeat an earlier one's head."""
        call.started, call.started_at = self.monotonic, int(self.now * 1e6)
        return self._check(call)

    def bearer(self, token: MintedToken | str) -> tuple[bytes, bytes]:
        text = token if isinstance(token, str) else token.text
        return b"authorization", b"Bearer " + text.encode("latin-1")


def known(token: MintedToken, name: str, *, expires_at: float | None = None, may_call: bool = True) -> KnownToken:
    actor = Actor(id=name, username=name, token_id=token.id, may_call=may_call)
    return KnownToken(digest=token.digest, actor=actor, expires_at=expires_at)


@pytest.mark.parametrize(("name", "form"), CARRIERS)
def test_every_carrier_is_read(name: bytes, form: bytes) -> None:
    door = Door()
    call = door.enter((name, form % door.ours.text.encode()))
    assert call.actor is not None
    assert call.actor.id == "mia"
    assert door.used == {door.ours.id: call.started_at}


@pytest.mark.parametrize("first", range(3, 7))
@pytest.mark.parametrize("foreign", ["sk-foreign", "revoked", "expired"])
def test_of_two_the_one_that_is_ours_wins_in_either_order(first: int, foreign: str) -> None:
    door = Door()
    other = {"revoked": door.unknown.text, "expired": door.expired.text}.get(foreign, foreign)
    name, form = CARRIERS[first]
    for ours, theirs in ((door.ours.text, other), (other, door.ours.text)):
        for headers in (
            [(name, form % ours.encode()), door.bearer(theirs)],
            [door.bearer(theirs), (name, form % ours.encode())],
        ):
            call = door.enter(*headers)
            assert call.actor is not None
            assert call.actor.id == "mia"


def test_a_token_that_is_not_in_force_is_a_401_that_says_where_to_put_one() -> None:
    door = Door()
    for token in (door.expired.text, door.unknown.text, door.ours.text[:-1] + "?", "aib_x", "sk-ant-x", "\xff"):
        with pytest.raises(Unauthenticated) as caught:
            door.enter(door.bearer(token))
        assert caught.value.message == "The token is not valid: unknown, expired or revoked."
        for carrier in ("Authorization: Bearer", "X-Api-Key", "X-Coder-AI-Governance-Token", "aibridge tokens create"):
            assert carrier in caught.value.detail
        assert token not in caught.value.detail + caught.value.message
    assert door.used == {}


@pytest.mark.parametrize(
    "headers",
    [[], [(b"authorization", b"Bearer")], [(b"authorization", b"Basic eDp5")], [(b"x-api-key", b"  ")]],
    ids=["none", "empty bearer", "basic", "blank"],
)
def test_no_token_is_a_401_that_says_so(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        Door().enter(*headers)
    assert caught.value.message == "No token was sent."


def test_a_revoked_token_is_refused_with_the_next_snapshot() -> None:
    door = Door()
    before, call = door.snapshot, a_call(door.bearer(door.ours))
    assert door.refusal(call) is None
    door.snapshot = Snapshot(tokens={name: token for name, token in door.known.items() if name != door.ours.id})
    assert isinstance(door.refusal(call), Unauthenticated)
    door.snapshot = before
    assert door.refusal(call) is None


@pytest.mark.parametrize("anew", [False, True], ids=["one snapshot", "another each time"])
def test_a_token_ends_in_time_also_for_a_head_that_comes_again(anew: bool) -> None:
    door = Door()
    call = a_call(door.bearer(door.ours))
    for now, in_force in ((0.0, True), (0.999, True), (1.0, False), (2.0, False), (0.5, True)):
        door.now = NOW + now
        if anew:
            door.snapshot = Snapshot(tokens=door.known)
        assert (door.refusal(call) is None) == in_force


def test_a_token_that_is_not_for_calls_is_a_403_and_no_strangers() -> None:
    door = Door(failures=1)
    for _ in range(3):
        with pytest.raises(Forbidden) as caught:
            door.enter(door.bearer(door.read_only))
        assert caught.value.message == "This token may not make AI calls."
        assert "aibridge_interception:create" in caught.value.detail
    assert set(door.used) == {door.read_only.id}


def test_the_secret_decides_not_the_id() -> None:
    door = Door()
    forged = door.ours.text[:15] + door.unknown.text[15:]
    assert forged[4:14] == door.ours.id
    with pytest.raises(Unauthenticated):
        door.enter(door.bearer(forged))


def test_failed_attempts_are_limited_by_address_and_invented_tokens_buy_nothing() -> None:
    door = Door(failures=3)
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            door.enter(door.bearer(mint(secrets.randbelow)))
    with pytest.raises(RateLimited) as caught:
        door.enter(door.bearer(mint(secrets.randbelow)))
    assert caught.value.rejection is not None
    assert caught.value.rejection.limit == "address"
    with pytest.raises(RateLimited):
        door.enter()
    with pytest.raises(Unauthenticated):
        door.enter(address="192.0.2.2")


def test_a_known_token_passes_from_an_address_with_many_failures() -> None:
    door = Door(failures=1)
    for expected in (Unauthenticated, RateLimited, RateLimited):
        with pytest.raises(expected):
            door.enter()
    assert door.enter(door.bearer(door.ours)).actor is not None


def test_a_head_that_was_unknown_is_known_by_the_next_snapshot() -> None:
    door = Door()
    before, call = door.snapshot, a_call(door.bearer(door.unknown))
    assert isinstance(door.refusal(call), Unauthenticated)
    door.snapshot = Snapshot(tokens={door.unknown.id: known(door.unknown, "new")})
    assert door.refusal(call) is None
    assert before.tokens  # is still there, as it may be with other connections
    assert call.actor is not None
    assert call.actor.id == "new"


@pytest.mark.parametrize("known", [False, True])
def test_a_head_keeps_no_snapshot(known: bool) -> None:
    door = Door()
    door.refusal(call := a_call(door.bearer(door.ours if known else door.unknown)))
    before = ref(door.snapshot)
    door.snapshot = Snapshot()
    assert before() is None
    assert isinstance(door.refusal(call), Unauthenticated)


def test_attempts_that_repeat_a_head_are_counted_and_told_what_is_left_of_the_wait() -> None:
    door = Door(failures=2)
    call = a_call(door.bearer(door.unknown))
    assert [type(door.refusal(call)) for _ in range(3)] == [Unauthenticated, Unauthenticated, RateLimited]
    door.monotonic = 0.75
    refusal = door.refusal(call)
    assert refusal is not None
    assert refusal.rejection is not None
    assert (refusal.retry_after, refusal.rejection.retry_after) == (0.25, 0.25)
    door.monotonic = 1.0
    assert isinstance(door.refusal(call), Unauthenticated)


def test_what_strangers_are_told_is_written_once_and_keeps_no_frames() -> None:
    door = Door(failures=2)
    calls = [a_call(door.bearer(door.unknown)), a_call(), a_call(), a_call(address="192.0.2.2"), a_call()]
    told = [door.refusal(call) for call in calls]
    prepared = [error and error.prepared for error in told]
    assert None not in prepared
    assert prepared[0] is not prepared[1] is prepared[3]
    assert prepared[2] is prepared[4]
    assert [error and error.__traceback__ for error in told] == [None] * 5


def test_an_ipv6_address_counts_with_its_64() -> None:
    door = Door(failures=1)
    with pytest.raises(Unauthenticated):
        door.enter(address="2001:db8:1:2::1")
    with pytest.raises(RateLimited):
        door.enter(address="2001:db8:1:2:ffff::9")
    with pytest.raises(Unauthenticated):
        door.enter(address="2001:db8:1:3::1")
    with pytest.raises(Unauthenticated):
        door.enter(address="::ffff:192.0.2.1")
    with pytest.raises(RateLimited):
        door.enter(address="192.0.2.1")


def test_with_the_governance_token_the_clients_own_credential_is_kept_and_ours_never() -> None:
    door = Door()
    governance = (b"x-coder-ai-governance-token", door.ours.text.encode())
    own = (b"x-api-key", b"sk-ant-own")
    assert door.enter(governance, own, door.bearer(door.ours)).own_credential == [own]
    assert door.enter(governance).own_credential == []
    assert door.enter(governance, door.bearer("sk-own")).own_credential == [door.bearer("sk-own")]
    assert door.enter(door.bearer(door.ours), own).own_credential == []


def test_byok_that_is_switched_off_is_a_403() -> None:
    door = Door(allow_byok=False)
    with pytest.raises(Forbidden) as caught:
        door.enter((b"x-coder-ai-governance-token", door.ours.text.encode()), (b"x-api-key", b"sk-own"))
    assert caught.value.message == "Bring Your Own Key (BYOK) mode is not enabled."
    assert door.enter(door.bearer(door.ours)).actor is not None
