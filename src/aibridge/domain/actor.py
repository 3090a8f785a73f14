"""Who calls."""

import msgspec

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.priority import Priority


class Actor(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A person or a service, known by one of our tokens.

    `is_owner` is the one privilege there is today: an owner reads everybody's interceptions.
    """

    id: str
    username: str
    token_id: str
    is_owner: bool = False
    may_call: bool = True
    """Whether roles and scope let it make AI calls: worked out when the snapshot is taken, since calls are many."""
    organization_id: str = str(DEFAULT_ORGANIZATION)
    priority: Priority = Priority.INTERACTIVE
    """Of the token; `priority.is_batch` says what one call of it is."""
