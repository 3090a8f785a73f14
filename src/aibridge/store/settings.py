"""What is set over the API and is no option: single values of their own shape, each by its name."""

from typing import TypeVar

import msgspec
from sqlalchemy import Connection, select

from aibridge.store import changes, schema

_SETTINGS = schema.settings.c
T = TypeVar("T")


def read(connection: Connection, name: str, shape: type[T]) -> T | None:
    """What is set, as that shape; None where nothing is.

    Raises:
        msgspec.ValidationError: what is set there has another shape.
    """
    text = connection.execute(select(_SETTINGS.value).where(_SETTINGS.name == name)).scalar_one_or_none()
    return None if text is None else msgspec.json.decode(text, type=shape)


def write(connection: Connection, name: str, value: object, now: int) -> None:
    """Set a value, whatever was set before: anything that msgspec can write. `now` is in UTC microseconds."""
    columns = {"value": msgspec.json.encode(value).decode(), "updated_at": now}
    # Two statements and no upsert, which each engine spells in its own way: whoever writes is the only writer.
    if not connection.execute(schema.settings.update().where(_SETTINGS.name == name).values(columns)).rowcount:
        connection.execute(schema.settings.insert(), columns | {"name": name})
    changes.note(connection)
