"""A case for each row of the table of errors (failover: "what counts as what"), by the vendor's name."""

from collections.abc import Iterator
from typing import Final

from core.failover.outcome import Executed, Scope
from outages.cases import Case, Promise, Spell

_NO, _MAYBE, _YES = Executed.NO, Executed.MAYBE, Executed.YES
_PROVIDER, _FUNCTION, _CALLER, _CREDENTIALS = Scope.PROVIDER, Scope.FUNCTION, Scope.CALLER, Scope.CREDENTIALS

_SHORTLY: Final = (
    "SnapStartTimeoutException",
    "EFSMountTimeoutException",
    "ResourceConflictException",
    "EFSIOException",
)
"""They ask for one more try at the same target, after a moment."""

_TABLE: Final[tuple[tuple[str, tuple[str, ...], Executed, Scope], ...]] = (
    ("AWS", ("ServiceException", "ServiceUnavailableException", "GatewayTimeout"), _MAYBE, _PROVIDER),
    (
        "AWS",
        (
            "EC2ThrottledException",
            "ENILimitReachedException",
            "KMSDisabledException",
            "SubnetIPAddressLimitReachedException",
            "InvalidRuntimeException",
            "InvalidZipFileException",
        ),
        _NO,
        _FUNCTION,
    ),
    ("AWS", _SHORTLY, _NO, _FUNCTION),
    ("AWS", ("ResourceNotFoundException",), _NO, _FUNCTION),
    ("AWS", ("AccessDeniedException", "InvalidSignatureException"), _NO, _CREDENTIALS),
    ("AWS", ("InvalidParameterValueException", "UnsupportedMediaTypeException"), _NO, _CALLER),
    ("GCP", ("no-available-instance",), _NO, _PROVIDER),
    ("GCP", ("unavailable", "bad-gateway", "upstream-timeout"), _MAYBE, _PROVIDER),
    ("GCP", ("internal",), _MAYBE, _FUNCTION),
    ("GCP", ("not-found",), _NO, _FUNCTION),
    ("GCP", ("unauthorized", "forbidden"), _NO, _CREDENTIALS),
    ("AZURE", ("service-unavailable", "bad-gateway", "gateway-timeout"), _MAYBE, _PROVIDER),
    ("AZURE", ("internal",), _MAYBE, _FUNCTION),
    ("AZURE", ("unauthorized",), _NO, _CREDENTIALS),
)


def _promises(scope: Scope) -> frozenset[Promise]:
    match scope:
        case Scope.CALLER:
            return frozenset({Promise.NO_SIDESTEPS, Promise.QUIET, Promise.AS_TOLD})
        case Scope.PROVIDER:
            return frozenset({Promise.COMPLETE, Promise.CHEAP, Promise.AS_TOLD})
        case _:
            return frozenset({Promise.COMPLETE, Promise.PLACES_QUIET, Promise.AS_TOLD})


def _cases() -> Iterator[Case]:
    for provider, names, executed, scope in _TABLE:
        for name in names:
            yield Case(
                f"{provider.lower()}-{_kebab(name)}",
                f"{provider} answers every call with {name}",
                "outage",
                _promises(scope),
                (
                    Spell(
                        provider,
                        "error",
                        options={"name": name},
                        executed=executed,
                        scope=scope,
                        again=name in _SHORTLY,
                    ),
                ),
                primary=provider,
            )


def _kebab(name: str) -> str:
    """`EC2ThrottledException` is `ec2-throttled`."""
    words = ""
    for index, letter in enumerate(name.removesuffix("Exception")):
        before = name[index - 1] if index else ""
        after = name[index + 1 : index + 2]
        if letter.isupper() and before and (before.islower() or (after.islower() and before != "-")):
            words += "-"
        words += letter.lower()
    return words


ROWS: Final = tuple(_cases())
