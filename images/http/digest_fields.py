"""The header fields Repr-Digest, Content-Digest and Want-Repr-Digest (RFC 9530)."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

from django.http import HttpRequest

from images import errors, expected_digests
from images.expected_digests import is_digest, name_in_http

# Names in these header fields -> names in hashlib. Other algorithms are ignored.
ALGORITHMS: Final = {name_in_http(it): it for it in expected_digests.ALGORITHMS}

# A member of a dictionary (RFC 9651 section 3.2): its key and its value.
KEY = r"([a-z*][a-z0-9_.*-]*)"
ITEM = r':[A-Za-z0-9+/=]*:|"(?:[ !#-\[\]-~]|\\["\\])*"|\?[01]|[A-Za-z0-9*.+/:%_-]+'
PARAMETERS = rf"(?:;\ *{KEY[1:-1]}(?:=(?:{ITEM}))?)*"
MEMBER: Final = re.compile(rf"{KEY}(?:=({ITEM}))?{PARAMETERS}", re.ASCII)
# The weight of an algorithm in Want-Repr-Digest; 0: not acceptable.
WEIGHT: Final = re.compile("[0-9]|10", re.ASCII)
COMMA: Final = re.compile(r"[ \t]*,[ \t]*", re.ASCII)


def expected(request: HttpRequest, *names: str) -> dict[str, str]:
    """Return the digests that header fields of a request state: algorithm -> hexadecimal.

    ``names`` are the fields; by default both Repr-Digest and Content-Digest, which mean the
    same for a body that is the whole data and not encoded. Raises Invalid for a malformed
    field, and if the fields contradict each other.
    """
    digests: dict[str, str] = {}
    for name in names or ("Repr-Digest", "Content-Digest"):
        for algorithm, digest in _parse(name, request.headers.get(name, "")).items():
            if digests.setdefault(algorithm, digest) != digest:
                raise errors.Invalid("Repr-Digest and Content-Digest differ.")
    return digests


def field(digests: dict[str, str]) -> str:
    """Return the value of the header field Repr-Digest for digests (algorithm -> hexadecimal).

    A digest by an algorithm that has no name in RFC 9530 is left out.
    """
    return ", ".join(
        f"{name}=:{b64encode(bytes.fromhex(digests[algorithm])).decode()}:"
        for name, algorithm in ALGORITHMS.items()
        if algorithm in digests
    )


def weights(request: HttpRequest) -> dict[str, int] | None:
    """Return the weights in a request's header Want-Repr-Digest: name in hashlib -> weight.

    0 means that the algorithm is not acceptable. Returns None without the header. The header is a
    hint: a malformed value has no weights.
    """
    text = request.headers.get("Want-Repr-Digest")
    if text is None:
        return None
    return {
        ALGORITHMS[key]: int(value)
        for key, value in (_members(text) or {}).items()
        if key in ALGORITHMS and WEIGHT.fullmatch(value)
    }


def preferred(digests: Mapping[str, str], weights: Mapping[str, int]) -> dict[str, str]:
    """Return those of the known digests (algorithm -> hexadecimal) that have the greatest weight.

    ``weights`` are those of Want-Repr-Digest. If they name none of the digests, all digests are
    returned except those with the weight 0.
    """
    accepted = {it: digest for it, digest in digests.items() if weights.get(it) != 0}
    greatest = max((weights[it] for it in accepted if it in weights), default=None)
    return {
        algorithm: digest
        for algorithm, digest in accepted.items()
        if greatest is None or weights.get(algorithm) == greatest
    }


def decoded(algorithm: str, text: str) -> str | None:
    """Return a digest in base64 as hexadecimal; None if it is no digest by this algorithm."""
    try:
        digest = b64decode(text, validate=True).hex()
    except binascii.Error:
        return None
    return digest if is_digest(algorithm, digest) else None


def _parse(name: str, text: str) -> dict[str, str]:
    digests: dict[str, str] = {}
    members = _members(text)
    if members is None:
        raise _malformed(name)
    for key, value in members.items():
        if algorithm := ALGORITHMS.get(key):
            digest = decoded(algorithm, value[1:-1]) if value[:1] == ":" else None
            if digest is None:
                raise _malformed(name)
            digests[algorithm] = digest
    return digests


def _members(text: str) -> dict[str, str] | None:
    """Parse a dictionary of RFC 9651 into key -> value, as text; None if the text is malformed."""
    members, position = {}, 0
    while position < len(text):
        member = MEMBER.match(text, position)
        if member is None:
            return None
        members[member[1]] = member[2] or ""
        position = member.end()
        if position < len(text):
            comma = COMMA.match(text, position)
            if comma is None or comma.end() == len(text):
                return None
            position = comma.end()
    return members


def _malformed(name: str) -> errors.Invalid:
    return errors.Invalid(f"The header {name} must be like sha-256=:BASE64:.")
