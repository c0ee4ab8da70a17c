"""What the fuzzer has found stays found: its corpus, the golden messages, and a few thousand changes to both."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutation import mutated
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
BOUNDED = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def kept(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_fuzzer_kept_and_the_golden_messages_are_read_or_refused(target: str) -> None:
    inputs = kept(target)
    assert inputs
    for data in [*seeds(target), *inputs]:
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
@BOUNDED
@given(data=st.data())
def test_what_is_changed_in_them_is_read_or_refused(target: str, data: st.DataObject) -> None:
    random: Random = data.draw(st.randoms(use_true_random=False))
    begun = data.draw(st.sampled_from([*seeds(target), *kept(target)]))
    for _ in range(5):
        begun = mutated(begun, random)
        TARGETS[target](begun)


@pytest.mark.parametrize("target", TARGETS)
@BOUNDED
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(target: str, data: bytes) -> None:
    TARGETS[target](data)
