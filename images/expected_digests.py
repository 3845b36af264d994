"""Digests that a client expects its data to have: algorithm -> hexadecimal, in lower case."""

from __future__ import annotations

import string
from collections.abc import Mapping

from images import errors

# Names of hashlib -> hexadecimal digits.
HEX_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}


class DigestMismatch(errors.Invalid):
    """The data does not have a digest that the client expects."""

    code = "digest-mismatch"


def is_digest(algorithm: str, value: str) -> bool:
    """Return whether ``value`` is a hexadecimal digest of this algorithm."""
    return len(value) == HEX_DIGITS.get(algorithm) and set(value) <= set(
        string.hexdigits
    )


def check(expected: Mapping[str, str], actual: Mapping[str, str]) -> None:
    """Raise DigestMismatch unless the data has all expected digests."""
    for algorithm, digest in expected.items():
        if actual[algorithm] != digest:
            name = algorithm.replace("sha", "sha-")  # as in RFC 9530
            raise DigestMismatch(
                f"Digest mismatch: {name} is {actual[algorithm]}, expected {digest}"
            )
