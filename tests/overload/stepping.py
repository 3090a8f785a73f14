"""State machines that are sure to take so many steps: each counts its own, and runs again until they are taken."""

from typing import ClassVar

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

STEPS = 10_000


class SteppingMachine(RuleBasedStateMachine):
    """Something beside its reference, that counts how often both were asked or told something."""

    steps: ClassVar = 0
    """In all runs of this class. What an invariant asks is not counted, nor is time that passes."""

    def step(self) -> None:
        """Count one thing that was asked or told."""
        type(self).steps += 1


def take_steps(machine: type[SteppingMachine], steps: int = STEPS) -> None:
    """Run a machine, by 25 histories of at most 50 rules at a time, until it has taken so many steps."""
    bounds = settings(max_examples=25, stateful_step_count=50, deadline=None, report_multiple_bugs=False)
    machine.steps = 0
    while machine.steps < steps:
        before = machine.steps
        run_state_machine_as_test(machine, settings=bounds)
        assert machine.steps > before
    assert machine.steps >= steps
