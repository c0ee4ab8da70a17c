"""An input that does not end is a finding too."""

import signal
from collections.abc import Iterator

import pytest

HANG_S = 120
"""No test here takes more than a few seconds, so one that takes this long has met an input that does not end."""


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    def give_up(*_: object) -> None:
        pytest.fail(f"an input took longer than {HANG_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(HANG_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
