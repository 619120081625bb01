"""The frames between the server and its children.

To the child: a header of the body's length in bytes and the CPU time that it may take in microseconds, then
the body, a Request as JSON. From the child: a header of the body's length and a flag, then an Answer as JSON.
The first frame from a child is empty: it is ready.
"""

from struct import Struct
from typing import Final

TO_CHILD: Final = Struct(">II")
"""Length and microseconds."""

FROM_CHILD: Final = Struct(">IB")
"""Length and one of the flags below."""

STAYS: Final = 0
ENDS: Final = 1
"""The child ends after this answer: it has grown, and a new one is small."""

LARGEST: Final = 64 << 20
"""Bytes of a body; a header that says more is not a header."""

SMALLEST_REFUSED: Final = 1 << 20
"""An answer of more bytes is refused, or of more than twice a request's own limit where that is more."""
