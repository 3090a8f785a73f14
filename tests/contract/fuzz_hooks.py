"""What schemathesis loads: keeps a run from ending the credentials that it runs with.

The environment says who the run is: `FUZZ_USER` (names of the user, separated by spaces), `FUZZ_KEY` (ids of its
tokens) and `FUZZ_ORGANIZATION` (names of the organization that they are for).
"""

import itertools
import os
from ipaddress import IPv4Address
from collections.abc import Mapping
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure

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
"""Operations that may end the credentials, and the parameter that says whose."""
_OURS = {name: set(os.environ[f"FUZZ_{name.upper()}"].casefold().split()) for name in ("user", "key", "organization")}
_SOMEBODY_ELSE = "somebody-else"
_ADDRESSES = map(str, map(IPv4Address, itertools.count(int(IPv4Address("10.0.0.1")))))


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Name somebody else where a request would end us. It covers all phases, which filters of cases do not."""
    operation = str(case.operation.definition.raw.get("operationId"))
    name = _ENDINGS.get(operation.removesuffix("_1"), "")
    if str(case.path_parameters.get(name, "")).casefold() in _OURS.get(name, ()):
        case.path_parameters[name] = _SOMEBODY_ELSE
    case.headers["X-Forwarded-For"] = next(_ADDRESSES)  # an address may fail to authenticate so many times a second


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Pass over what is wrong only by a schema: a parameter without a value is as if it was not there."""
    return not (isinstance(failure, AcceptedNegativeData) and "" in case.query.values())
