"""Who asks the control plane, by which credential, and from where."""

import msgspec

from aibridge.domain.actor import Actor
from aibridge.domain.authorize import Subject


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose token is in force. `by_cookie` says that a browser sent it without being asked."""

    actor: Actor
    subject: Subject
    by_cookie: bool = False

    @property
    def id(self) -> str:
        """The user's id."""
        return self.actor.id


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request comes from: the client's address, and what it calls itself."""

    address: str
    user_agent: str
