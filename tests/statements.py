"""The worker's statements by their texts."""

from importlib.resources import files

NAMES = {entry.read_text(): entry.name.removesuffix(".sql") for entry in (files("worker.books") / "queries").iterdir()}
"""Of each the name of its file."""
