"""What was renamed, as data: a major version of the SDK is a table."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Name:
    """What a name of the SDK is called now, and the module it moved to, if it did."""

    new: str
    home: str | None = None


@dataclass(frozen=True, slots=True)
class Roles:
    """Arguments that were strings and are role identifiers.

    `parse` of the type `name`, which is at home in the module `home`, reads a string that has the `form`.
    """

    arguments: frozenset[str]
    name: str
    home: str
    parse: str
    form: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The renames of a major version.

    Paths are dotted: a package of `packages`, then at most one module, then a name. `headers` says which header an
    argument of a client became; `headers_argument` is the argument that takes them.
    """

    packages: Mapping[str, str]
    modules: Mapping[str, str]
    names: Mapping[str, Name]
    clients: frozenset[str]
    method_prefix: str
    headers: Mapping[str, str]
    headers_argument: str
    roles: Roles

    @property
    def package(self) -> str:
        """Where everything is now."""
        return next(iter(self.packages.values()))

    @property
    def mentions(self) -> frozenset[str]:
        """Words of which every file that uses the SDK has one."""
        return frozenset(package.partition(".")[0] for package in self.packages)

    def inside(self, path: str) -> list[str] | None:
        """The parts of a path below its package; None if it is of no package of the SDK."""
        for package in self.packages:
            if path == package or path.startswith(package + "."):
                return path[len(package) + 1 :].split(".") if path != package else []
        return None

    def renamed(self, path: str) -> str | None:
        """The path of the same thing now; None if it is of no package of the SDK."""
        parts = self.inside(path)
        if parts is None:
            return None
        place = 0 if not parts or parts[0] in self.names or parts[0][0].isupper() else 1
        module = [self.modules.get(part, part) for part in parts[:place]]
        names = parts[place:]
        if names and names[0] in self.names:
            name = self.names[names[0]]
            names[0] = name.new
            module = [name.home] if module and name.home else module
        return ".".join([self.package, *module, *names])

    def is_client(self, path: str) -> bool:
        """Whether the path is of a class of clients."""
        match self.inside(path):
            case [name] | [_, name]:
                return name in self.clients
        return False

    def is_old(self, path: str) -> bool:
        """Whether the path is called something else now."""
        return self.renamed(path) not in (None, path)


_V2: Final = Table(
    packages={"codersdk": "aibridge.sdk", "aibridge.sdk": "aibridge.sdk"},
    modules={
        "appearance": "deployment",
        "buildinfo": "deployment",
        "error": "client",
        "experiments": "deployment",
        "features": "deployment",
        "insights": "deployment",
        "organizationmember": "organizations",
        "quota": "workspaces",
        "sse": "serversentevents",
    },
    names={
        "AgentConn": Name("WorkspaceAgentConn"),
        "WorkspaceAppHostResponse": Name("AppHostResponse", "deployment"),
    },
    clients=frozenset({"Client", "AsyncClient"}),
    method_prefix="get_",
    headers={"bypass_ratelimits": "X-Coder-Bypass-Ratelimit"},
    headers_argument="headers",
    roles=Roles(
        arguments=frozenset({"role", "roles"}),
        name="RoleIdentifier",
        home="roles",
        parse="parse",
        form=re.compile(r"[^:]+(:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?", re.IGNORECASE),
    ),
)

TABLES: Final[Mapping[str, Table]] = {"v2": _V2}
"""Major versions of the SDK, by what the command line calls them."""
