"""Which ends a run goes on from, and where somebody must be asked before."""

import pytest

from dpo_tui.resuming import needs_confirmation, resumable
from engine.rundir.status import Reason, State, Status


def ended(state: State, code: str = "") -> Status:
    return Status(state=state, reason=Reason(code, "") if code else None)


@pytest.mark.parametrize(
    ("status", "goes_on", "asks"),
    [
        (ended("stopped"), True, False),
        (ended("failed", "train.out_of_memory"), True, False),
        (ended("failed", "run.silent"), True, True),
        (ended("failed", "gates.missed"), False, False),
        (ended("done"), False, False),
        (ended("running"), False, False),
    ],
)
def test_what_can_change_goes_on_and_what_may_do_harm_is_asked(
    status: Status, goes_on: bool, asks: bool
) -> None:
    assert (resumable(status), needs_confirmation(status)) == (goes_on, asks)
