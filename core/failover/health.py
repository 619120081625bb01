"""What is known about the targets when a decision is made, as a value."""

from collections.abc import Mapping

import msgspec

from core.graph.model import Target


class Health(msgspec.Struct, frozen=True):
    """Why a provider cannot be called at all, by its name; a provider that is missing here can be."""

    refused: Mapping[str, str] = {}

    def refusal(self, target: Target) -> str | None:
        """Why this target must not be called now, in a few words; None where it may be."""
        return self.refused.get(target.provider)


ALL_WELL = Health()
"""Nothing is known against any target."""
