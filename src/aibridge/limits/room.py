"""A rule over what is held, as it speaks to those who find no room again and again."""

from aibridge.domain.errors import Refused
from aibridge.domain.rule import Rule
from aibridge.limits.counts import Refusal
from aibridge.limits.explain import refused, what_varies
from aibridge.overload.retry import Policy


class Room:
    """Of one subject, that people call `subject`; `policies` are those of its refusals."""

    __slots__ = ("_error", "_policies", "_rule", "_said", "_subject")

    def __init__(self, rule: Rule, subject: str, policies: tuple[Policy, ...]) -> None:
        self._rule = rule
        self._subject = subject
        self._policies = policies
        self._error: Refused | None = None
        self._said = (0.0, 0)

    def full(self, refusal: Refusal) -> Refused:
        """The error for a refusal: the one of before, as long as it is in the same words.

        Never raised, and to be answered before the next one is asked for.
        """
        error, said = self._error, what_varies(self._rule, refusal)
        if error is None or said != self._said:
            error = self._error = refused(self._rule, self._subject, refusal, self._policies, 0.0)
            self._said = said
        return error.again(refusal.retry_after)
