"""The sidecar of an exported image: a JSON file beside it, with attributes and digests of the image.

A sidecar can come from anywhere, so everything in it is checked.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from images import attributes, custom_properties, errors
from images.models import Image

KIND: Final = "imagecatalog/1"
SUFFIX: Final = ".json"
LARGEST: Final = 16 << 20  # bytes
ALGORITHMS: Final = {"sha512": 128, "sha384": 96, "sha256": 64, "sha1": 40, "md5": 32}
ATTRIBUTES: Final = (
    "name",
    "owner",
    "visibility",
    "disk_format",
    "container_format",
    "min_ram",
    "min_disk",
    "protected",
    "os_hidden",
)


@dataclass(frozen=True)
class Sidecar:
    """The checked content of a sidecar, the JSON file with the metadata of an exported image."""

    image_id: str
    status: str
    fields: dict[str, Any]
    properties: dict[str, str]
    tags: list[str]
    size: int | None  # bytes
    digests: dict[str, str]  # hexadecimal, lower case


def beside(path: Path) -> Path:
    """Return the path of a file's sidecar: the path of the file with ``.json`` appended."""
    return path.with_name(path.name + SUFFIX)


def document(image: Image, size: int, digests: Mapping[str, str]) -> bytes:
    """Return the content of an image's sidecar, as JSON.

    ``size`` is the number of bytes of the image's data, ``digests`` are the digests of the data.
    """
    properties = {
        name: value
        for name, value in image.properties.items()
        if not attributes.is_managed(name)
    }
    content = {
        "sidecar": KIND,
        "id": image.pk,
        "status": image.status,
        "created_at": image.created_at,
        "updated_at": image.updated_at,
        "attributes": {name: getattr(image, name) for name in ATTRIBUTES},
        "properties": properties,
        "tags": image.tags,
        "size": size,
        "virtual_size": image.virtual_size,
        "digests": dict(digests),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read(path: Path) -> Sidecar | None:
    """Read and check a sidecar; return None if the file does not exist.

    Raises Invalid if the file cannot be read or was not written by an export.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _unusable("it is not a regular file")
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(error.strerror or "it cannot be read") from error
    if len(raw) > LARGEST:
        raise _unusable(f"it is larger than {LARGEST} bytes")
    try:
        return _checked(orjson.loads(raw))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise _unusable("it was not written by an export") from error
    except errors.ImageError as error:
        raise _unusable(str(error).rstrip(".")) from error


def digest(algorithm: str, text: object) -> str:
    """Check a digest and return it in lower case.

    Raises Invalid unless ``text`` is a hexadecimal digest of this algorithm.
    """
    length = ALGORITHMS.get(algorithm)
    if length is None:
        known = ", ".join(ALGORITHMS)
        raise errors.Invalid(f"The algorithm of a digest must be one of: {known}.")
    if not isinstance(text, str) or not re.fullmatch(f"[0-9a-fA-F]{{{length}}}", text):
        raise errors.Invalid(
            f"A {algorithm} digest must have {length} hexadecimal digits."
        )
    return text.lower()


def _checked(content: Any) -> Sidecar:
    if content["sidecar"] != KIND:
        raise TypeError(KIND)
    values = content["attributes"]
    size = content["size"]
    if size is not None and (type(size) is not int or size < 0):
        raise errors.Invalid("Invalid size: it must be a number of bytes.")
    return Sidecar(
        image_id=attributes.clean_fields({"id": content["id"]})["id"],
        status=str(content["status"]),
        fields=attributes.clean_fields({name: values[name] for name in ATTRIBUTES}),
        properties=custom_properties.clean_properties(content["properties"]),
        tags=attributes.clean_tags(content["tags"]),
        size=size,
        digests={
            name: digest(name, value) for name, value in content["digests"].items()
        },
    )


def _unusable(reason: str) -> errors.Invalid:
    return errors.Invalid(
        f"The sidecar ({SUFFIX}) is not usable: {reason}. Repair it, or ignore it with "
        "--no-metadata."
    )
