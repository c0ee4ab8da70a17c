"""Pages that a worker asks of the system while it takes and gives back what batches do."""

import ctypes
import resource
import subprocess
import sys

import pytest

CHURN = """
import resource, sys
from worker import memory
if sys.argv[1] == "tuned":
    memory.tune()
def batch(outcome_bytes=2_000, statement_bytes=700_000):
    return [b"." * outcome_bytes for _ in range(750)], b"." * statement_bytes
batch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    batch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_of_a_hundred_batches(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", CHURN, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="its C library has an allocator of its own")
def test_a_batch_is_made_of_memory_that_the_one_before_it_gave_back() -> None:
    assert pages_of_a_hundred_batches("tuned") < 1_000
    assert pages_of_a_hundred_batches("as it comes") > 10_000 * 4096 / resource.getpagesize()
