"""Which calls stand back: by the token's setting, and by the call's own word only where that is trusted."""

import pytest

from aibridge.domain.priority import Priority, is_batch


@pytest.mark.parametrize("header", [None, b"", b"interactive", b"batch", b"anything"])
def test_a_token_that_is_not_trusted_decides_alone(header: bytes | None) -> None:
    assert is_batch(Priority.BATCH, header)
    assert not is_batch(Priority.INTERACTIVE, header)


@pytest.mark.parametrize("header", [b"batch", b" Batch ", b"BATCH"])
def test_a_trusted_call_may_stand_back(header: bytes) -> None:
    assert is_batch(Priority.CHOSEN, header)


@pytest.mark.parametrize("header", [None, b"", b"interactive", b"batches", b"\xff"])
def test_a_trusted_call_that_does_not_say_batch_is_interactive(header: bytes | None) -> None:
    assert not is_batch(Priority.CHOSEN, header)
