"""What was renamed: the table is data, and another version is another table."""

import dataclasses

import pytest

from aibridge.codemod.tables import TABLES, Name

V2 = TABLES["v2"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("codersdk", "aibridge.sdk"),
        ("codersdk.Client.get_users", "aibridge.sdk.Client.get_users"),
        ("codersdk.AgentConn", "aibridge.sdk.WorkspaceAgentConn"),
        ("codersdk.agentconn.AgentConn.close", "aibridge.sdk.agentconn.WorkspaceAgentConn.close"),
        ("codersdk.WorkspaceAppHostResponse", "aibridge.sdk.AppHostResponse"),
        ("codersdk.workspaceapps.WorkspaceAppHostResponse", "aibridge.sdk.deployment.AppHostResponse"),
        ("codersdk.error.Error", "aibridge.sdk.client.Error"),
        ("codersdk.error.AgentConn.error", "aibridge.sdk.client.WorkspaceAgentConn.error"),
        ("codersdk.sse", "aibridge.sdk.serversentevents"),
        ("codersdk.organizationmember.Member", "aibridge.sdk.organizations.Member"),
        ("codersdk.quota.Quota", "aibridge.sdk.workspaces.Quota"),
        ("aibridge.sdk.sse.Reader", "aibridge.sdk.serversentevents.Reader"),
        ("codersdkx.sse", None),
        ("aibridge", None),
        ("elsewhere.codersdk.sse", None),
    ],
)
def test_a_path_is_renamed_part_by_part(before: str, after: str | None) -> None:
    assert V2.renamed(before) == after


@pytest.mark.parametrize("module", ["appearance", "buildinfo", "experiments", "features", "insights"])
def test_what_belongs_to_the_deployment_is_there(module: str) -> None:
    assert V2.renamed(f"codersdk.{module}.x") == "aibridge.sdk.deployment.x"


def test_nothing_is_renamed_twice() -> None:
    for table in TABLES.values():
        assert table.packages[table.package] == table.package
        assert not set(table.modules) & set(table.modules.values())
        assert not set(table.names) & {name.new for name in table.names.values()}


def test_clients_are_in_the_package_or_a_module_of_it() -> None:
    assert V2.is_client("codersdk.Client")
    assert V2.is_client("aibridge.sdk.client.AsyncClient")
    assert not V2.is_client("codersdk")
    assert not V2.is_client("codersdk.client.Client.users")
    assert not V2.is_client("httpx.Client")


def test_another_major_version_is_another_table() -> None:
    v3 = dataclasses.replace(
        V2, packages={"aibridge.sdk": "aibridge.sdk"}, modules={"users": "people"}, names={"User": Name("Person")}
    )
    assert v3.renamed("aibridge.sdk.users.User") == "aibridge.sdk.people.Person"
    assert v3.renamed("codersdk.users.User") is None
    assert v3.mentions == {"aibridge"}
