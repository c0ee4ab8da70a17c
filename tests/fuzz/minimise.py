"""The smallest inputs that together reach all the code that any of them reaches."""

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FrameType
from typing import Any

Step = tuple[str, int, int]
"""A file, the line that was left and the line that came next."""


def smallest(inputs: Iterable[bytes], target: Callable[[bytes], None], folders: tuple[str, ...]) -> list[bytes]:
    """Return the inputs, the shortest first, each of which takes a step in the folders that none before it took."""
    seen: set[Step] = set()
    kept: list[bytes] = []
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        taken = steps(lambda data=data: target(data), folders)  # type: ignore[misc]
        if not taken <= seen:
            seen |= taken
            kept.append(data)
    return kept


def steps(run: Callable[[], None], folders: tuple[str, ...]) -> set[Step]:
    """Return the steps that the run takes in code of the folders."""
    taken: set[Step] = set()
    left: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not any(folder in name for folder in folders):
            return None
        if event == "line":
            taken.add((name, left.get(frame, 0), frame.f_lineno))
            left[frame] = frame.f_lineno
        elif event == "return":
            left.pop(frame, None)
        return trace

    sys.settrace(trace)
    try:
        with suppress(AssertionError):
            run()
    finally:
        sys.settrace(None)
    return taken
