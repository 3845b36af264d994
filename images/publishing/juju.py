"""The index with which Juju finds the images of Ubuntu in an OpenStack cloud, by their ids.

`fragment` makes the part of one family, which can be kept; `documents` puts the parts together.
Juju reads it at the URL in its setting image-metadata-url. Format: environs/imagemetadata in the
sources of Juju. It is not signed: Juju has no setting for the key.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final, NamedTuple

from images.publishing import encoding, operating_system, simplestreams
from images.publishing.snapshot import PublishedFamily

FOLDER: Final = "juju"  # in a tree
INDEX: Final = "streams/v1/index.json"
PRODUCTS: Final = "streams/v1/com.ubuntu.cloud-released-imagemetadata.json"
CONTENT: Final = "com.ubuntu.cloud:custom"

_RELEASE = re.compile(r"\d\d\.\d\d")

Document = dict[str, Any]


class Cloud(NamedTuple):
    """An OpenStack cloud: a region, and the URL at which its users sign in."""

    region: str
    endpoint: str


def fragment(family: PublishedFamily) -> Document:
    """Return the entry of a family's current image, for `documents`; empty unless it is an Ubuntu."""
    current = family.current
    if current is None:
        return {}
    found = operating_system.merged_properties(family, current)
    system, release = found.get("os_distro"), found.get("os_version", "")
    if system != "ubuntu" or not _RELEASE.fullmatch(release):
        return {}
    architecture = simplestreams.debian_architecture(family)
    return {
        "product": f"com.ubuntu.cloud:server:{release}:{architecture}",
        "version": release,
        "arch": architecture,
        "serial": simplestreams.serial(current),
        "image": current.image_id,
        "is_chosen": f"ubuntu/{release}" in family.aliases,
    }


def documents(
    fragments: Iterable[Mapping[str, Any]], updated: datetime, cloud: Cloud
) -> dict[str, bytes]:
    """Return Juju's two files by their paths in a tree: the index, and the list of products.

    ``updated`` is in UTC. If several families have the same release and architecture, only the one
    with the alias ``ubuntu/RELEASE`` is listed, and none if that is not exactly one: Juju would
    take any of them.
    """
    candidates = defaultdict(list)
    for part in fragments:
        if part:
            candidates[part["product"]].append(part)
    products = {
        product: _product(only[0], cloud)
        for product, parts in sorted(candidates.items())
        if len(only := [it for it in parts if it["is_chosen"]] or parts) == 1
    }
    kind = {"format": "products:1.0", "updated": format_datetime(updated)}
    entry = {
        **kind,
        "datatype": "image-ids",
        "cloudname": "custom",
        "clouds": [cloud._asdict()],
        "path": PRODUCTS,
        "products": list(products),
    }
    index = {
        "format": "index:1.0",
        "updated": format_datetime(updated),
        "index": {CONTENT: entry},
    }
    whole = {**kind, "content_id": CONTENT, "products": products}
    return {
        f"{FOLDER}/{INDEX}": encoding.json_file(index),
        f"{FOLDER}/{PRODUCTS}": encoding.json_file(whole),
    }


def _product(part: Mapping[str, Any], cloud: Cloud) -> Document:
    image = part["image"]
    items = {image: {"id": image, **cloud._asdict()}}
    return {
        "version": part["version"],
        "arch": part["arch"],
        "versions": {part["serial"]: {"items": items}},
    }
