"""Pages as the store's listings take them."""

import contextlib
from collections.abc import Iterator
from typing import TypedDict

from aibridge.contract.shapes import Page
from aibridge.control.reading import BAD_CURSOR
from aibridge.domain.errors import BadRequest


class Paged(TypedDict):
    """The fields of `store.paging.Paging`."""

    limit: int
    offset: int
    after_id: str | None


def paged(query: Page) -> Paged:
    """What was asked for, by the names of `store.paging.Paging`."""
    return Paged(limit=query.limit, offset=query.offset, after_id=query.after_id)


@contextlib.contextmanager
def cursor() -> Iterator[None]:
    """While the block asks for a page: nothing is called `after_id` when the store does not find it.

    Raises:
        BadRequest: there is no such entry.
    """
    try:
        yield
    except LookupError:
        raise BadRequest(BAD_CURSOR) from None
