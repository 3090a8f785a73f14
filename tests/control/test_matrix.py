"""Every endpoint, asked by everybody: who may, who may not, and who may not even know.

The table is written out, not derived: it is what is promised. A row is an endpoint with one thing that its path or its
body names; a column is who asks. What stands there:

    .    they may: the answer has the endpoint's own status, and a change is in the audit log
    x    they may not: 403
    -    it is not there for them: 404
    u    nobody knows who they are: 401
    c    they may, but it does not go together with what is there: 409
    b    they may, but not with this thing: 400

An endpoint without a row fails the tests, and so does one whose row leaves out a parameter of its path. Who is refused
changes nothing and leaves no entry in the audit log.

Columns of the site have their role for all of it and are members of the built-in organization, which is neither `here`
nor `elsewhere`. `mia` is a plain member of `here`, `bot` a service account of it without a role; `chief` is one that
administers it. `narrow` is a token of an owner with a scope for something else, `listed` one for certain objects, which
are others.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from control_world import BREAKER, PASSWORD, World, world

from aibridge.contract.endpoint import PREFIX, Access, Endpoint
from aibridge.contract.table import BY_OPERATION, ENDPOINTS
from aibridge.domain.organization import DEFAULT_ORGANIZATION

WHO = {
    "nobody": None,
    # here, elsewhere
    **{f"{role}-{place}": f"{role}-{place}" for place in ("here", "elsewhere")
       for role in ("member", "auditor", "user-admin", "template-admin", "admin")},
}
COLUMNS = [
    ["nobody"],
    ["member", "auditor", "user-admin", "template-admin", "owner"],
    ["mia", "member-here", "auditor-here", "user-admin-here", "template-admin-here", "admin-here"],
    ["noa", "member-elsewhere", "auditor-elsewhere", "user-admin-elsewhere", "template-admin-elsewhere", "admin-elsewhere"],
    ["bot", "chief"],
    ["narrow", "listed"],
]
