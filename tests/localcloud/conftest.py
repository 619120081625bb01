"""Every test here has a local cloud of its own."""

from tests.localcloud_fixtures import control, localcloud

__all__ = ["control", "localcloud"]
