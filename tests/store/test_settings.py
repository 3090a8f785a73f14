"""Settings: single values, each of its own shape."""

from collections.abc import Iterator

import msgspec
import pytest
from people_samples import noted
from sqlalchemy import Connection
from store_samples import NOW

from aibridge.store import settings
from aibridge.store.database import Database


class Banner(msgspec.Struct, frozen=True):
    text: str
    shown: bool = True


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.writing() as connection:
        yield connection


def test_nothing_is_set_at_first(connection: Connection) -> None:
    assert settings.read(connection, "banner", Banner) is None


def test_what_was_written_last_is_read(connection: Connection) -> None:
    before = noted(connection)
    settings.write(connection, "other", [1, 2], NOW)
    for text in ("a", "ä"):
        settings.write(connection, "banner", Banner(text), NOW)
        assert settings.read(connection, "banner", Banner) == Banner(text)
    assert settings.read(connection, "other", list[int]) == [1, 2]
    assert noted(connection) == before + 3


def test_a_value_of_another_shape_is_no_value_of_this_one(connection: Connection) -> None:
    settings.write(connection, "banner", ["a"], NOW)
    with pytest.raises(msgspec.ValidationError):
        settings.read(connection, "banner", Banner)
