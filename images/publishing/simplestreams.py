"""The indexes that Incus, LXD and the simplestreams tools read.

`fragment` makes the part of one family, which can be kept; `documents` puts the parts together.
Format: https://git.launchpad.net/simplestreams/tree/doc; what Incus and LXD read is in
shared/simplestreams of their sources.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from email.utils import format_datetime
from typing import Any, Final

from images.publishing import aliases, disks, encoding, operating_system, paths
from images.publishing.snapshot import PublishedFamily, PublishedVersion

FOLDER: Final = "streams/v1"
PREFIX: Final = "imagecatalog"  # of the names of products
DEBIAN_ARCHITECTURES: Final = {
    "aarch64": "arm64",
    "armv7l": "armhf",
    "i686": "i386",
    "loongarch64": "loong64",
    "ppc64le": "ppc64el",
    "x86_64": "amd64",
}

_ALIAS = re.compile(r"[a-z0-9][a-z0-9._+~-]*/[a-z0-9][a-z0-9._+~-]*")

Document = dict[str, Any]


def fragment(family: PublishedFamily) -> Document:
    """Return the products of a family, for `documents`: one, or none if no disk image is current.

    Clients take the version with the greatest serial, so versions that are newer than the current
    one are left out.
    """
    current = family.current
    if current is None or not _items(family, current):
        return {}
    offered = [it for it in family.versions if serial(it) <= serial(current)]
    offered.sort(key=serial, reverse=True)
    found = operating_system.merged_properties(family, current)
    system = operating_system.of_properties(found, family.name)
    architecture = debian_architecture(family)
    product = {
        "arch": architecture,
        "os": system.name,
        "release": system.release,
        "release_title": system.release,
        "version": system.release,
        "aliases": [family.name, *family.aliases],
        "derived_aliases": list(_derived_alias(found)),
        **_support(found, family.updated_at.date()),
        **_requirements(found),
        "versions": {
            serial(version): {
                "label": "release",
                "pubname": f"{family.name}-{version.label}",
                "items": items,
            }
            for version in offered
            if (items := _items(family, version))
        },
    }
    return {f"{PREFIX}:{family.name}:{architecture}": product}


def debian_architecture(family: PublishedFamily) -> str:
    """Return Debian's name for the architecture of a family, such as amd64."""
    return DEBIAN_ARCHITECTURES.get(family.architecture, family.architecture)


def serial(version: PublishedVersion) -> str:
    """Return the name of a version in the indexes: its label, or its build date and the label.

    The label alone is used if it begins with the build date in eight digits: Incus and LXD ignore
    versions whose names do not begin so. Otherwise a colon separates date and label; no label has a
    colon, so the name is unique.
    """
    day = version.build_date.isoformat().replace("-", "")
    if version.label.startswith(day) and not version.label[8:9].isdigit():
        return version.label
    return f"{day}:{version.label}"


def documents(
    fragments: Iterable[Mapping[str, Any]], updated: datetime, *, signed: bool
) -> dict[str, bytes]:
    """Return the two indexes of a tree by their paths, built from the parts of `fragment`.

    ``updated`` is in UTC. With ``signed`` they have other paths, and are for the caller to sign. An
    alias that several products of one architecture have is left out of all of them.
    """
    suffix = "sjson" if signed else "json"
    images = f"{FOLDER}/images.{suffix}"
    products = dict(sorted(pair for part in fragments for pair in part.items()))
    kind = {
        "datatype": "image-downloads",
        "format": "products:1.0",
        "updated": format_datetime(updated),
    }
    index = {
        "format": "index:1.0",
        "updated": format_datetime(updated),
        "index": {"images": {**kind, "path": images, "products": list(products)}},
    }
    whole = {**kind, "content_id": "images", "products": _with_own_aliases(products)}
    return {
        f"{FOLDER}/index.{suffix}": encoding.json_file(index),
        images: encoding.json_file(whole),
    }


def _with_own_aliases(products: Mapping[str, Document]) -> Document:
    """Return products in the form of the index, without aliases that other products have, too."""
    names = []
    for product in products.values():
        name, *chosen = product["aliases"]
        derived = product["derived_aliases"]
        names.append(aliases.Names(name, chosen, product["arch"], derived))
    left = zip(products.items(), names, aliases.unambiguous(names), strict=True)
    found = {
        product_id: {**product, "aliases": ",".join([own.name, *others])}
        for (product_id, product), own, others in left
    }
    for product in found.values():
        del product["derived_aliases"]
    return found


def _derived_alias(properties: Mapping[str, str]) -> Iterator[str]:
    """Yield an alias such as debian/13 if the image has usable properties os_distro and os_version."""
    names = properties.get("os_distro", ""), properties.get("os_version", "")
    alias = "/".join(names).lower()
    if _ALIAS.fullmatch(alias):
        yield alias


def _support(properties: Mapping[str, str], today: date) -> Document:
    """Return whether and until when an image is supported, from a property of the SCS standard."""
    try:
        end = datetime.strptime(properties.get("provided_until", ""), "%Y-%m-%d").date()
    except ValueError:  # "none", "notice" or missing
        return {"supported": True}
    return {"supported": end >= today, "support_eol": end.isoformat()}


def _requirements(properties: Mapping[str, str]) -> Document:
    """Return the requirement that Incus and LXD switch off secure boot for an image, or nothing.

    They switch it on by default. An image has the requirement if os_secure_boot is ``disabled``.
    """
    if properties.get("os_secure_boot") != "disabled":
        return {}
    needed = {"secureboot": "false"}
    return {"requirements": needed, "lxd_requirements": needed}


def _items(family: PublishedFamily, version: PublishedVersion) -> Document:
    """Return the files of a version: none if clients could not use it as a disk.

    Incus and LXD use the archive and disk-kvm.img; others use disk1.img, the same file. The
    combined digest of disk1.img is left out: with both, Incus would have the image twice.
    """
    if not disks.is_disk(version.disk_format, version.extension):
        return {}
    disk = {
        "path": paths.image_file(family, version),
        "size": version.size,
        "sha256": version.sha256,
    }
    digests = {"md5": version.md5, "sha512": version.sha512}
    items = {"disk1.img": {**disk, **{n: it for n, it in digests.items() if it}}}
    if version.combined_sha256:
        archive = {
            "path": paths.archive_file(family, version),
            "size": len(version.archive),
            "sha256": hashlib.sha256(version.archive).hexdigest(),
            "combined_disk-kvm-img_sha256": version.combined_sha256,
        }
        items |= {
            "incus.tar.xz": archive,
            "lxd.tar.xz": archive,
            "disk-kvm.img": disk,
        }
    return {ftype: {**item, "ftype": ftype} for ftype, item in items.items()}
