"""What the process asks of its memory: a batch takes a megabyte or two and gives it back, many times a second."""

import ctypes
import gc

from worker.limits import COLLECTION_OBJECTS, FREE_BYTES_MAX, MAPPED_BYTES_MIN

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of <malloc.h>."""


def tune() -> None:
    """Set Python's collector and the C library's allocator. Where that has no mallopt(), it stays as it is."""
    # What is loaded stays, and payments leave no cycles behind: to look for some often takes a tenth of the time.
    gc.freeze()
    gc.set_threshold(COLLECTION_OBJECTS)
    # The next batch takes what this one frees. Given back to the system, each page would have to be cleared again.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES_MIN)
        mallopt(_M_TRIM_THRESHOLD, FREE_BYTES_MAX)
