"""Who calls."""

import msgspec

from aibridge.domain.organization import DEFAULT_ORGANIZATION
from aibridge.domain.priority import Priority


class Actor(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A person or a service, known by one of our tokens. What it may do is said by the token's subject."""

    id: str
    username: str
    token_id: str
    may_call: bool = True
    """Whether roles and scope let it make AI calls: worked out when the snapshot is taken, since calls are many."""
    organization_id: str = str(DEFAULT_ORGANIZATION)
    priority: Priority = Priority.INTERACTIVE
    """Of the token; `priority.is_batch` says what one call of it is."""
