"""What schemathesis loads: keeps a run from ending the credentials that it runs with.

The environment says who the run is: `FUZZ_USER` (names of the user, separated by spaces), `FUZZ_KEY` (ids of its
tokens) and `FUZZ_ORGANIZATION` (names of the organization that they are for).
"""

import os
from collections.abc import Mapping
from typing import Any

import schemathesis
from schemathesis import Case, HookContext

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


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Name somebody else where a request would end us. It covers all phases, which filters of cases do not."""
    operation = str(case.operation.definition.raw.get("operationId"))
    name = _ENDINGS.get(operation.removesuffix("_1"), "")
    if str(case.path_parameters.get(name, "")).casefold() in _OURS.get(name, ()):
        case.path_parameters[name] = _SOMEBODY_ELSE
