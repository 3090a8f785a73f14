"""Secrets at rest: what opens, what does not, and what is said then."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge.store.sealing import KEY_FILE, Keyring, Place, Sealed, SealingError, key_id_of, keyring

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
PLACE = Place("providers", "5f1c")
OPTION = "--aibridge-encryption-keys (CODER_AIBRIDGE_ENCRYPTION_KEYS)"


def refusal(ring: Keyring, sealed: Sealed, place: Place = PLACE) -> SealingError:
    with pytest.raises(SealingError) as caught:
        ring.open(sealed, place)
    assert "sk-secret" not in str(caught.value)
    assert OPTION in str(caught.value)
    return caught.value


@given(st.text(), st.text())
def test_what_was_sealed_opens_in_its_place(plain: str, row: str) -> None:
    ring, place = Keyring([OLD]), Place("providers", row)

    assert ring.open(ring.seal(plain, place), place) == plain


def test_a_key_is_named_by_its_hash() -> None:
    assert key_id_of(OLD) == "630dcd29"
    assert Keyring([OLD]).seal("sk-secret", PLACE).key_id == "630dcd29"


def test_sealing_twice_never_gives_the_same() -> None:
    ring = Keyring([OLD])
    sealed = {ring.seal("sk-secret", PLACE).data for _ in range(100)}

    assert len({data[:12] for data in sealed}) == 100
    assert not any(b"sk-secret" in data for data in sealed)


def test_an_older_key_still_opens_but_no_longer_seals() -> None:
    before = Keyring([OLD]).seal("sk-secret", PLACE)
    ring = Keyring([NEW, OLD])

    assert ring.open(before, PLACE) == "sk-secret"
    assert ring.seal("sk-secret", PLACE).key_id == ring.key_id == key_id_of(NEW)
    assert not ring.is_current(before)
    assert ring.is_current(ring.seal("sk-secret", PLACE))


def test_a_key_that_is_not_there_is_named_with_the_option_to_give_it_by() -> None:
    error = refusal(Keyring([NEW]), Keyring([OLD]).seal("sk-secret", PLACE))

    assert error.key_id == key_id_of(OLD)
    assert f"sealed with master key {key_id_of(OLD)}, which is not among those given ({key_id_of(NEW)})" in str(error)
    assert "providers 5f1c" in str(error)


@pytest.mark.parametrize("place", [Place("providers", "5f1d"), Place("tokens", "5f1c"), Place("providers", "")])
def test_a_secret_that_was_moved_does_not_open(place: Place) -> None:
    ring = Keyring([OLD])

    error = refusal(ring, ring.seal("sk-secret", PLACE), place)

    assert f"does not open with master key {key_id_of(OLD)}" in str(error)


@given(st.data())
def test_a_secret_that_was_changed_does_not_open(data: st.DataObject) -> None:
    ring = Keyring([OLD])
    sealed = ring.seal("sk-secret", PLACE)
    at = data.draw(st.integers(0, len(sealed.data) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    changed = bytearray(sealed.data)
    changed[at] ^= bit

    refusal(ring, Sealed(key_id=sealed.key_id, data=bytes(changed)))
    refusal(ring, Sealed(key_id=sealed.key_id, data=sealed.data[:at]))


def test_another_key_of_the_same_name_does_not_open() -> None:
    ring = Keyring([NEW])
    sealed = Keyring([OLD]).seal("sk-secret", PLACE)

    refusal(ring, Sealed(key_id=ring.key_id, data=sealed.data))


def test_where_a_place_could_be_read_in_two_ways_it_is_none() -> None:
    with pytest.raises(ValueError, match="a table is not called"):
        Keyring([OLD]).seal("sk-secret", Place("providers|5f", "1c"))


def test_a_keyring_shows_names_only() -> None:
    ring = Keyring([NEW, OLD])

    assert repr(ring) == str(ring) == f"Keyring({key_id_of(NEW)}, {key_id_of(OLD)})"


@pytest.mark.parametrize("keys", [[], [b"short"], [OLD, bytes(33)]])
def test_a_keyring_is_made_of_whole_keys(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="master key"):
        Keyring(keys)


def test_keys_for_another_purpose_follow_from_the_master_keys() -> None:
    ring = Keyring([NEW, OLD])

    assert ring.derived("sign-in") == (*Keyring([NEW]).derived("sign-in"), *Keyring([OLD]).derived("sign-in"))
    assert len({*ring.derived("sign-in"), *ring.derived("csrf"), NEW, OLD}) == 6


def test_without_the_option_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "new"

    first = keyring((), directory)

    assert keyring((), directory).key_id == first.key_id
    assert stat.S_IMODE((directory / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in directory.iterdir()] == [KEY_FILE]


def test_processes_that_make_one_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        rings = list(threads.map(lambda _: keyring((), tmp_path), range(32)))

    assert len({ring.key_id for ring in rings}) == 1
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_keys_that_are_given_come_before_the_file_which_still_opens(tmp_path: Path) -> None:
    before = keyring((), tmp_path).seal("sk-secret", PLACE)

    ring = keyring((NEW,), tmp_path)

    assert ring.key_id == key_id_of(NEW)
    assert ring.open(before, PLACE) == "sk-secret"


def test_no_file_is_made_where_keys_are_given(tmp_path: Path) -> None:
    assert repr(keyring((NEW, OLD), tmp_path)) == repr(Keyring([NEW, OLD]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"zz", b"ab" * 31, b"\xff" * 64])
def test_a_file_that_holds_no_key_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)

    with pytest.raises(SealingError) as caught:
        keyring((), tmp_path)

    assert str(caught.value) == (
        f"the file {tmp_path / KEY_FILE} cannot be used: it holds no key of 64 hex digits; mend it, "
        f"or move it away and give the keys by {OPTION}"
    )
    assert (tmp_path / KEY_FILE).read_bytes() == content


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SealingError, match="cannot be used: Not a directory; mend it, or move it away"):
        keyring((), tmp_path / "file")
