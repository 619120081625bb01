"""The first number that Java's `java.util.Random` draws from a seed.

AWS evaluates on the JVM: what a seed draws there is what it draws here. The generator is the linear
congruential one that the class's documentation fixes (48 bits, Knuth's "The Art of Computer Programming",
volume 2, section 3.2.1).
"""

from typing import Final

_MULTIPLIER: Final = 0x5DEECE66D
_MASK: Final = (1 << 48) - 1
_INT: Final = 1 << 31


class JavaRandom:
    """Draws in order; `seed` is a whole number of any size, of which 48 bits count."""

    def __init__(self, seed: int) -> None:
        self._state = (seed ^ _MULTIPLIER) & _MASK

    def double(self) -> float:
        """A number in [0, 1), as `nextDouble` gives it."""
        return ((self._bits(26) << 27) + self._bits(27)) * 2.0**-53

    def below(self, bound: int) -> int:
        """A whole number in [0, bound), as `nextInt(bound)` gives it; by `double` where no int holds it."""
        if bound >= _INT:
            return int(self.double() * bound)
        if bound & -bound == bound:
            return (bound * self._bits(31)) >> 31
        while True:
            bits = self._bits(31)
            drawn = bits % bound
            # The last, incomplete stretch of the range would favour small numbers.
            if bits - drawn + bound - 1 < _INT:
                return drawn

    def _bits(self, count: int) -> int:
        self._state = (self._state * _MULTIPLIER + 0xB) & _MASK
        return self._state >> (48 - count)
