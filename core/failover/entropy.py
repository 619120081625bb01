"""Chance as a value: uniform draws from a seed that the caller supplies."""

_MASK = (1 << 64) - 1


def uniform(seed: int, label: str) -> float:
    """A draw from [0, 1) that depends on nothing but the seed and the label.

    The mixing is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
    """
    value = seed & _MASK
    for byte in label.encode():
        value = _mix(value ^ byte)
    return (_mix(value) >> 11) / (1 << 53)


def _mix(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
