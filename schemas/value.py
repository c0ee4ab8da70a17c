"""What messages mean and rules say, as values."""

import msgspec


class Value(msgspec.Struct, frozen=True, gc=False):
    """Never changed once made, and equal where its fields are. Holds no cycle, so the collector need not look at it.

    A payment makes a dozen of them, and a frozen dataclass takes several times as long to make.
    """
