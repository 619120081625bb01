"""How a Lambda function is named: name, name:alias, account:function:name, or a full ARN."""

import re
from dataclasses import dataclass

_REGION = re.compile(r"(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-[0-9]{1,2}")
_FUNCTION = re.compile(
    r"(?:arn:aws[a-z-]{0,12}:lambda:(?P<region>[a-z0-9-]{1,32}):(?P<arn_account>[0-9]{12}):function:"
    r"|(?:(?P<account>[0-9]{12}):)?(?:function:)?)"
    r"(?P<name>[A-Za-z0-9_-]{1,64})"
    r"(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[A-Za-z0-9_-]{1,128}))?"
)


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A function id, understood. `text` is it as written; an ARN brings its own `region`."""

    text: str
    region: str | None
    account: str | None


def parse_function(text: str) -> FunctionName | None:
    """Read a function id as Lambda's Invoke does (its API reference, FunctionName), without the dots that no
    real name has; None where it is none.
    """
    match = _FUNCTION.fullmatch(text)
    if match is None:
        return None
    return FunctionName(text, match["region"], match["arn_account"] or match["account"])


def is_region(text: str) -> bool:
    """True where `text` has the form of an AWS region's name."""
    return _REGION.fullmatch(text) is not None


def endpoint_of(region: str) -> str:
    """Lambda's public endpoint in `region` (AWS General Reference, Lambda endpoints)."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://lambda.{region}.{suffix}"
