"""How keys become paths: `group/name` lies at `ab/group/name`, where `ab` is a hash of the group.

256 folders keep each listing short, and spread the load of an object store, whose keys would otherwise all
begin with the same instant.
"""

import hashlib

from core.ports.payloads import check_key

BUCKETS = tuple(f"{number:02x}" for number in range(256))


def bucket_of(group: str) -> str:
    """The first folder of a group: two hexadecimal digits."""
    return hashlib.sha256(group.encode()).hexdigest()[:2]


def path_of(key: str) -> str:
    """Where a key lies, from the place's root. Raises InvalidInput for what is no key."""
    group, name = check_key(key)
    return f"{bucket_of(group)}/{group}/{name}"


def folder_of(group: str) -> str:
    """Where a group lies, from the place's root. Raises InvalidInput for what is no group."""
    check_key(f"{group}/x")
    return f"{bucket_of(group)}/{group}"


def key_of(path: str) -> str | None:
    """The key that lies at a path from the root; None for a stranger's file."""
    bucket, slash, key = path.partition("/")
    group = key.partition("/")[0]
    return key if slash and "/" in key and bucket == bucket_of(group) else None
