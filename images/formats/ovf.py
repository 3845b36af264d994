"""Inspection of OVF descriptors (DMTF DSP0243), which describe the disks in an OVA.

A descriptor must not refer to files outside of its package.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote
from xml.parsers import expat

from images.formats.verdicts import refused

LARGEST = 4 << 20  # bytes; usual ones have less than 100 KiB
BEGINNING = re.compile(
    rb"(\xef\xbb\xbf)?\s*<(\?xml|!--|([\w.-]+:)?Envelope)|\xff\xfe<\0|\xfe\xff\0<"
)
FOREIGN = re.compile(r"[a-z][a-z0-9+.-]*:|[/\\]|(.*[/\\])?\.\.([/\\]|$)", re.I | re.S)


def looks_like_ovf(begin: bytes) -> bool:
    """Return whether data whose first bytes are ``begin`` can be an OVF descriptor."""
    return BEGINNING.match(begin) is not None


class Ovf:
    """The inspector of an OVF descriptor, in constant memory."""

    settled = False

    def __init__(self) -> None:
        self._left = LARGEST
        self._resource: str | None = None  # the text of the current HostResource
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.CharacterDataHandler = self._text
        self._parser.EndElementHandler = self._end

    def feed(self, block: bytes) -> None:
        """Inspect the next block of the descriptor.

        Raises ContentRefused if it is not valid XML or refers to files outside of its
        package.
        """
        self._left -= len(block)
        if self._left < 0:
            raise refused("ovf_references", "Its OVF descriptor is too long")
        self._parse(block)

    def verdict(self) -> None:
        """End the inspection. Raises ContentRefused if the descriptor is not complete XML."""
        if self._left < LARGEST:
            self._parse(b"", is_final=True)

    def _parse(self, block: bytes, is_final: bool = False) -> None:
        try:
            self._parser.Parse(block, is_final)
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise refused(
                "ovf_references", f"Its OVF descriptor is no valid XML ({error})"
            ) from error

    def _doctype(self, *_: Any) -> None:
        raise refused("ovf_references", "Its OVF descriptor has a document type")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        self._resource = "" if tag == "HostResource" else None
        if tag != "File":
            return
        for attribute, value in attributes.items():
            if attribute.rpartition(" ")[2] == "href":
                self._check(value)

    def _text(self, text: str) -> None:
        if self._resource is not None:
            self._resource += text

    def _end(self, name: str) -> None:
        resource, self._resource = (self._resource or "").strip(), None
        if resource.lower().startswith("file:"):
            self._check(resource)

    def _check(self, reference: str) -> None:
        if FOREIGN.match(unquote(reference).strip()):
            raise refused(
                "ovf_references",
                f"Its OVF descriptor refers to {reference[:200]!r}, which is not in the package",
            )
