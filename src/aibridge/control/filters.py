"""What the listing of interceptions may be asked in one line: `q=key:value …`, the keys being parameters of their own.

    q=provider:anthropic client:"Claude Code" started_after:2026-11-01T00:00:00Z
    provider=anthropic&client=Claude+Code&started_after=2026-11-01T00:00:00Z

A value with spaces stands in double quotes within `q`; a value cannot contain one there. Each key counts once.
"""

import re
from typing import Any

import msgspec

from aibridge.contract.aibridge import InterceptionsQuery
from aibridge.contract.errors import Validation
from aibridge.control.errors import InvalidQuery
from aibridge.control.reading import query_of

_FILTERS = ("initiator", "provider", "model", "client", "started_after", "started_before")
_TERM = re.compile(r'\s*([^\s:"]+):(?:"([^"]*)"|([^\s"]*))(?=\s|$)')


def merged(query: InterceptionsQuery) -> InterceptionsQuery:
    """The query with what is in its `q` put where it belongs.

    Raises:
        InvalidQuery: it names every term that cannot be understood, or is given twice.
    """
    terms = _terms(query.q or "")
    twice = [name for name, _ in terms if getattr(query, name) is not None]
    if twice:
        raise InvalidQuery([Validation(field=name, detail="is given more than once") for name in twice])
    found = query_of(terms, InterceptionsQuery)
    values: dict[str, Any] = {name: getattr(found, name) for name, _ in terms}
    return msgspec.structs.replace(query, **values)


def _terms(text: str) -> list[tuple[str, str]]:
    terms, problems, place = [], [], 0
    while text[place:].strip():
        term = _TERM.match(text, place)
        if term is None:
            problems.append(Validation(field="q", detail=f"expected key:value, found {text[place:].strip()!r}"))
            break
        name, quoted, plain = term.groups()
        value = plain if quoted is None else quoted
        if name not in _FILTERS:
            problems.append(Validation(field=name, detail=f"is not known here; allowed are {', '.join(_FILTERS)}"))
        elif value:
            terms.append((name, value))
        place = term.end()
    if problems:
        raise InvalidQuery(problems)
    return terms
