"""Chance that is the same in every run."""

import random
from collections.abc import Callable


def seeded(seed: int) -> Callable[[], float]:
    """A source of uniform numbers in [0, 1)."""
    return random.Random(seed).random
