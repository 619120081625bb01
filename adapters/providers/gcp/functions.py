"""How functions are named at Google Cloud, and which URLs are Google's or ours."""

import re
from dataclasses import dataclass

from adapters.providers.wire.origins import BadUrl, Location, Origin, parse_url

_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9_-]{0,126}[A-Za-z0-9])?")
_PROJECT = re.compile(r"[a-z](?:[a-z0-9-]{4,28}[a-z0-9])")
_LOCATION = re.compile(r"[a-z]+(?:-[a-z]+)+[0-9]{1,2}")
_RUN_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.run\.app")
_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class FunctionKey:
    """A function of a project, by name."""

    project: str
    location: str
    name: str

    @property
    def resource(self) -> str:
        """Its name in the Cloud Functions API."""
        return f"projects/{self.project}/locations/{self.location}/functions/{self.name}"

    @property
    def url(self) -> str:
        """Its URL that can be known without asking (both generations answer there)."""
        return f"https://{self.location}-{self.project}.cloudfunctions.net/{self.name}"


def is_name(text: str) -> bool:
    """True where `text` can be a function's name."""
    return _NAME.fullmatch(text) is not None


def is_project(text: str) -> bool:
    """True where `text` can be a project's id (Resource Manager: 6 to 30 characters)."""
    return _PROJECT.fullmatch(text) is not None


def is_location(text: str) -> bool:
    """True where `text` has the form of a location, like europe-west1."""
    return _LOCATION.fullmatch(text) is not None


def belongs_to(origin: Origin, project: str | None) -> bool:
    """True for the cloudfunctions.net hosts of `project`."""
    suffix = f"-{project}.cloudfunctions.net"
    return (
        project is not None
        and origin.scheme == "https"
        and origin.port == _HTTPS_PORT
        and origin.host.endswith(suffix)
        and is_location(origin.host.removesuffix(suffix))
    )


def is_googles(origin: Origin) -> bool:
    """True for https hosts that Google alone hands out: *.cloudfunctions.net and *.run.app."""
    if origin.scheme != "https" or origin.port != _HTTPS_PORT:
        return False
    return origin.host.endswith(".cloudfunctions.net") or _RUN_HOST.fullmatch(origin.host) is not None


def trusted_uri(text: str, origins: frozenset[Origin]) -> Location | None:
    """A URI that the Cloud Functions API or the store named, if it is Google's or a configured one."""
    try:
        location = parse_url(text)
    except BadUrl:
        return None
    return location if is_googles(location.origin) or location.origin in origins else None


def audience_of(location: Location) -> str:
    """The audience that an ID token for `location` must name.

    Cloud Run's services expect their root URL, functions at cloudfunctions.net the function's URL (Google
    Cloud, "Authenticate for invocation").
    """
    if _RUN_HOST.fullmatch(location.origin.host):
        return str(location.origin)
    return f"{location.origin}{location.path}"
