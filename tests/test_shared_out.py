"""What shares a server is run by one process."""

import pytest


@pytest.mark.xdist_group("friends")
def test_groups_are_in_the_ids_by_which_tests_are_shared_out(request: pytest.FixtureRequest) -> None:
    """Not every pytest lets xdist write them there; without, they mean nothing, and nothing says so."""
    if not request.config.getoption("loadgroup", default=False):
        pytest.skip("tests are shared out by `make test` only")

    assert request.node.nodeid.endswith("@friends")
