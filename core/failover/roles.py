"""What else an attempt can be than a plain call of the primary. The journal bears these words."""

RETRY = "retry"
"""The engine's own second try at the same target."""

SIDESTEP = "sidestep"
"""A call of a fallback."""

HEDGE = "hedge"
"""A second call beside one that takes long; the first answer counts."""

PROBE = "probe"
"""The one call that finds out whether a target is well again."""

STATIC = "static"
"""A call of a target that is known to fail, because nothing else is left (fail static)."""

REHEARSAL = "rehearsal"
"""A call of a fallback on a healthy day, so that it is never cold or untested."""

ROLES = (RETRY, SIDESTEP, HEDGE, PROBE, STATIC, REHEARSAL)
