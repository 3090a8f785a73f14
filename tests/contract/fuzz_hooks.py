"""What schemathesis loads: keeps a run from ending the credentials that it has, and from failing of what is right.

The environment says who the run is: `FUZZ_USER` (names of the user, separated by spaces), `FUZZ_KEY` (ids of its
tokens) and `FUZZ_ORGANIZATION` (names of the organization that they are for).
"""

import itertools
import os
from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData

_ENDINGS: Mapping[str, str] = {
    "delete_user": "user",
    "suspend_user": "user",
    "update_user_roles": "user",
    "update_user_profile": "user",
    "remove_organization_member": "user",
    "delete_api_key": "key",
    "rotate_token": "key",
    "delete_organization": "organization",
    "update_organization": "organization",
}
"""Operations that may end the credentials, and the parameter that says whose. test_api_endings.py does what they do."""
_OURS = {name: set(os.environ[f"FUZZ_{name.upper()}"].casefold().split()) for name in ("user", "key", "organization")}
_SOMEBODY_ELSE = "somebody-else"
_ADDRESSES = map(str, map(IPv4Address, itertools.count(int(IPv4Address("10.0.0.1")))))


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Name somebody else where a request would end us. It covers all phases, which filters of cases do not."""
    operation = str(case.operation.definition.raw.get("operationId"))
    name = _ENDINGS.get(operation, "")
    if str(case.path_parameters.get(name, "")).casefold() in _OURS.get(name, ()):
        case.path_parameters[name] = _SOMEBODY_ELSE
    case.headers["X-Forwarded-For"] = next(_ADDRESSES)  # an address may fail to authenticate so many times a second


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Pass over what a schema cannot say, which is no failure.

    A parameter without a value is as if it was not there. A request may name what is not there, or say things that do
    not go together.
    """
    if isinstance(failure, AcceptedNegativeData):
        return "" not in case.query.values()
    return not (isinstance(failure, RejectedPositiveData) and response.status_code == 400)
