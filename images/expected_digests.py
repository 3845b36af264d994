"""Digests that data is expected to have, as mappings: algorithm -> hexadecimal, in lower case.

A client states them in its request. The owner of an image can also state them in custom properties,
as openstacksdk does.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Final

from images import errors

# The algorithms whose digests clients can state and ask for: those of RFC 9530 section 5 that are
# not deprecated.
ALGORITHMS: Final = ("sha256", "sha512")
# Names of hashlib -> hexadecimal digits.
HEX_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}
# Custom properties -> algorithms.
OWNER_PROPERTIES = {
    "owner_specified.openstack.md5": "md5",
    "owner_specified.openstack.sha256": "sha256",
}


class DigestMismatch(errors.Invalid):
    """The error for data that does not have a digest that the client expects."""

    code = "digest-mismatch"


def is_digest(algorithm: str, value: str) -> bool:
    """Return whether ``value`` has the length and the digits of a digest of this algorithm."""
    return len(value) == HEX_DIGITS.get(algorithm) and set(value) <= set(
        string.hexdigits
    )


def name_in_http(algorithm: str) -> str:
    """Return the name that an algorithm of hashlib has in RFC 9530, such as ``sha-256``."""
    return algorithm.replace("sha", "sha-")


def check(expected: Mapping[str, str], actual: Mapping[str, str]) -> None:
    """Raise DigestMismatch if an expected digest differs from the actual digest of the data."""
    for algorithm, digest in expected.items():
        if actual[algorithm] != digest:
            raise DigestMismatch(
                f"Digest mismatch: {name_in_http(algorithm)} is {actual[algorithm]}, expected {digest}"
            )


def described(properties: Mapping[str, str]) -> dict[str, str]:
    """Return those of the custom properties in which the owner of an image states a digest.

    A property with an empty value states none.
    """
    return {name: properties[name] for name in OWNER_PROPERTIES if properties.get(name)}


def of_owner(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the digests that an image's owner states in custom properties: algorithm -> hexadecimal.

    Raises Invalid for a malformed digest.
    """
    digests = {}
    for name, value in described(properties).items():
        algorithm = OWNER_PROPERTIES[name]
        if not is_digest(algorithm, value):
            raise errors.Invalid(
                f"The property {name} must have {HEX_DIGITS[algorithm]} hexadecimal digits. "
                "Correct or remove it."
            )
        digests[algorithm] = value.lower()
    return digests
