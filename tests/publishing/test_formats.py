"""The files of a published tree, as the programs that read them want them."""

from __future__ import annotations

import configparser
import hashlib
import io
import json
import subprocess
import tarfile
from dataclasses import replace
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from images.publishing import (
    checksum_files,
    metadata_archive,
    simplestreams,
    tree,
    virt_builder,
)
from images.publishing.snapshot import PublishedFamily
from tests.published_family import ARCHIVE, CURRENT, DATA, FAMILY, OLD

UPDATED = datetime(2026, 3, 1, 12, tzinfo=UTC)
FOLDER = "images/debian-13/20260228"


def family(**changes: Any) -> PublishedFamily:
    """The family with the current version alone, which has these changes."""
    return replace(FAMILY, versions=(replace(CURRENT, **changes),))


# Checksum files


@pytest.mark.parametrize(
    ("current", "name"),
    [(False, "debian-13-20260228.qcow2"), (True, "debian-13.qcow2")],
)
@pytest.mark.parametrize("sums", ["SHA256SUMS", "SHA512SUMS"])
def test_coreutils_accept_the_checksum_file_of_a_folder(
    sums: str, current: bool, name: str, tmp_path: Path
) -> None:
    folder = (
        tree.current_folder(FAMILY) if current else tree.version_folder(FAMILY, CURRENT)
    )
    (tmp_path / sums).write_bytes(folder[sums] or b"")
    (tmp_path / name).write_bytes(DATA)
    (tmp_path / "meta.tar.xz").write_bytes(ARCHIVE)

    command = [f"{checksum_files.OF_FOLDER[sums]}sum", "--check", "--strict", sums]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert done.stdout == f"{name}: OK\nmeta.tar.xz: OK\n"


# The archive for Incus and LXD


def archive(**changes: Any) -> bytes:
    values = {
        "family": "debian-13",
        "title": "Debian 13",
        "label": "20260228",
        "architecture": "x86_64",
        "build_date": date(2026, 2, 28),
        "properties": CURRENT.properties,
    }
    return metadata_archive.build(**{**values, **changes})


def metadata(content: bytes) -> Any:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:xz") as tar:
        assert tar.getnames() == ["metadata.yaml"]
        file = tar.extractfile("metadata.yaml")
        assert file is not None
        return yaml.safe_load(file)


def test_the_archive_describes_the_image() -> None:
    assert metadata(archive()) == {
        "architecture": "x86_64",
        "creation_date": 1772236800,
        "properties": {
            "architecture": "x86_64",
            "description": "Debian 13 (20260228)",
            "name": "debian-13-20260228",
            "os": "debian",
            "release": "13",
            "serial": "20260228",
        },
    }


def test_the_same_values_make_the_same_archive() -> None:
    assert archive() == archive()


@pytest.mark.parametrize("title", ["💾: #1", '"', "a\tb\x85c\u2028d\x7fe", "\\u0041"])
def test_any_title_can_be_in_the_archive(title: str) -> None:
    shown = "".join(char if char.isprintable() else " " for char in title)

    described = metadata(archive(title=title))["properties"]["description"]

    assert described == f"{shown} (20260228)"


# Simplestreams


def product(of: PublishedFamily) -> Any:
    (found,) = simplestreams.fragment(of).values()
    return found


@pytest.mark.parametrize(
    ("label", "serial"),
    [
        ("20260228", "20260228"),
        ("20260228.1", "20260228.1"),
        ("20260228_0730", "20260228_0730"),
        ("v3", "20260228:v3"),
        ("20250101", "20260228:20250101"),
        ("202602281", "20260228:202602281"),
    ],
)
def test_a_serial_begins_with_the_build_date(label: str, serial: str) -> None:
    assert simplestreams.serial(replace(CURRENT, label=label)) == serial


def test_a_product_has_the_file_for_each_kind_of_client() -> None:
    disk = {
        "path": f"{FOLDER}/debian-13-20260228.qcow2",
        "size": len(DATA),
        "sha256": CURRENT.sha256,
    }
    described = {
        "path": f"{FOLDER}/meta.tar.xz",
        "size": len(ARCHIVE),
        "sha256": hashlib.sha256(ARCHIVE).hexdigest(),
        "combined_disk-kvm-img_sha256": CURRENT.combined_sha256,
    }

    assert simplestreams.fragment(family()) == {
        "imagecatalog:debian-13:amd64": {
            "aliases": ["debian-13", "trixie"],
            "derived_aliases": ["debian/13"],
            "arch": "amd64",
            "os": "debian",
            "release": "13",
            "release_title": "13",
            "version": "13",
            "supported": True,
            "versions": {
                "20260228": {
                    "label": "release",
                    "pubname": "debian-13-20260228",
                    "items": {
                        "incus.tar.xz": {**described, "ftype": "incus.tar.xz"},
                        "lxd.tar.xz": {**described, "ftype": "lxd.tar.xz"},
                        "disk-kvm.img": {**disk, "ftype": "disk-kvm.img"},
                        "disk1.img": {
                            **disk,
                            "md5": CURRENT.md5,
                            "sha512": CURRENT.sha512,
                            "ftype": "disk1.img",
                        },
                    },
                }
            },
        }
    }


@pytest.mark.parametrize(
    ("disk_format", "extension", "items"),
    [
        ("raw", "raw", {"disk1.img"}),
        ("raw", "img", {"disk1.img"}),
        ("raw", "raw.gz", None),
        ("qcow2", "ova", None),
        ("iso", "iso", None),
        ("vmdk", "vmdk", None),
    ],
)
def test_only_disks_are_offered_to_programs_that_boot_them(
    disk_format: str, extension: str, items: set[str] | None
) -> None:
    changes = {"disk_format": disk_format, "extension": extension}
    fragment = simplestreams.fragment(family(**changes, combined_sha256=""))

    found = [
        version["items"].keys()
        for one in fragment.values()
        for version in one["versions"].values()
    ]

    assert found == ([items] if items else [])


@pytest.mark.parametrize(
    ("labels", "current", "offered"),
    [
        (["20260228", "20260131"], "20260131", ["20260131"]),
        (["20260131.10", "20260131.9"], "20260131.10", ["20260131.10"]),
        (["20260131.2", "20260131.1"], "20260131.2", ["20260131.2", "20260131.1"]),
        (["20260131.2", "20260131.1"], "", []),
    ],
)
def test_the_current_version_has_the_greatest_serial(
    labels: list[str], current: str, offered: list[str]
) -> None:
    versions = [
        replace(
            OLD,
            label=label,
            build_date=date.fromisoformat(label[:8]),
            current=label == current,
        )
        for label in labels
    ]

    fragment = simplestreams.fragment(replace(FAMILY, versions=tuple(versions)))

    assert [it for one in fragment.values() for it in one["versions"]] == offered


@pytest.mark.parametrize(
    ("architecture", "arch"),
    [("aarch64", "arm64"), ("s390x", "s390x"), ("ppc64le", "ppc64el")],
)
def test_an_architecture_has_its_name_in_debian(architecture: str, arch: str) -> None:
    assert product(replace(FAMILY, architecture=architecture))["arch"] == arch


@pytest.mark.parametrize(
    ("until", "support"),
    [
        ("2026-03-01", (True, "2026-03-01")),
        ("2026-02-28", (False, "2026-02-28")),
        ("2026-02-30", (True, None)),
        ("notice", (True, None)),
    ],
)
def test_the_end_of_support_comes_from_the_template(
    until: str, support: tuple[bool, str | None]
) -> None:
    template = {"properties": {"provided_until": until}}

    found = product(replace(FAMILY, template=template))

    assert (found["supported"], found.get("support_eol")) == support


def test_incus_and_lxd_are_told_that_an_image_cannot_boot_securely() -> None:
    found = product(family(properties={"os_secure_boot": "disabled"}))

    assert found["requirements"] == found["lxd_requirements"] == {"secureboot": "false"}


@pytest.mark.parametrize(
    ("properties", "system", "alias"),
    [
        ({}, ("debian-13", "debian-13"), []),
        ({"os_distro": "Rocky"}, ("Rocky", "debian-13"), []),
        ({"os_distro": "Rocky", "os_version": "9"}, ("Rocky", "9"), ["rocky/9"]),
        ({"os_distro": "a,b", "os_version": "9\x1b"}, ("a,b", "9 "), []),
    ],
)
def test_the_operating_system_comes_from_the_properties(
    properties: dict[str, str], system: tuple[str, str], alias: list[str]
) -> None:
    found = product(family(properties=properties))

    assert (found["os"], found["release"]) == system
    assert found["derived_aliases"] == alias


@pytest.mark.parametrize("suffix", ["json", "sjson"])
def test_the_index_leads_to_all_products(suffix: str) -> None:
    other = replace(FAMILY, name="alma-9", aliases=("alma",))
    fragments = [simplestreams.fragment(it) for it in (FAMILY, other)]

    found = simplestreams.documents(fragments, UPDATED, signed=suffix == "sjson")

    index = json.loads(found[f"streams/v1/index.{suffix}"])
    entry = index["index"]["images"]
    images = json.loads(found[entry["path"]])
    ids = ["imagecatalog:alma-9:amd64", "imagecatalog:debian-13:amd64"]
    assert (index["format"], images["format"]) == ("index:1.0", "products:1.0")
    assert images["content_id"] == "images"
    assert entry["products"] == list(images["products"]) == ids
    assert entry["path"] == f"streams/v1/images.{suffix}"
    for document in (index, entry, images):
        assert parsedate_to_datetime(document["updated"]) == UPDATED


# Each family also has the derived alias debian/13.
@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ({"a": (), "b": ()}, {"a": [], "b": []}),
        ({"a": ("debian/13",), "b": ()}, {"a": ["debian/13"], "b": []}),
        ({"a": ("x",), "b": ("x", "y")}, {"a": [], "b": ["y"]}),
        ({"a": ("x",), "b": ("a",)}, {"a": ["x"], "b": []}),
        ({"a": ("x", "a", "x")}, {"a": ["x", "debian/13"]}),
    ],
)
def test_an_alias_means_one_family_or_none(
    chosen: dict[str, tuple[str, ...]], left: dict[str, list[str]]
) -> None:
    families = [replace(FAMILY, name=name, aliases=it) for name, it in chosen.items()]
    fragments = [simplestreams.fragment(one) for one in families]
    sections = [virt_builder.fragment(one) for one in families]

    documents = simplestreams.documents(fragments, UPDATED, signed=False)

    products = json.loads(documents["streams/v1/images.json"])["products"]
    assert {
        name: products[f"imagecatalog:{name}:amd64"]["aliases"] for name in chosen
    } == {name: ",".join([name, *names]) for name, names in left.items()}
    index = parsed(virt_builder.document(sections))
    assert {name: index[name].get("aliases", "").split() for name in chosen} == {
        name: [it for it in names if it in chosen[name]] for name, names in left.items()
    }


def test_families_of_two_architectures_can_have_the_same_alias() -> None:
    other = replace(FAMILY, name="debian-13-arm64", architecture="aarch64")
    fragments = [simplestreams.fragment(it) for it in (FAMILY, other)]

    documents = simplestreams.documents(fragments, UPDATED, signed=False)

    products = json.loads(documents["streams/v1/images.json"])["products"]
    assert sorted(product["aliases"] for product in products.values()) == [
        "debian-13,trixie,debian/13",
        "debian-13-arm64,trixie,debian/13",
    ]


# virt-builder


def parsed(index: bytes) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(
        delimiters="=", interpolation=None, empty_lines_in_values=True
    )
    parser.read_string(index.decode())
    return parser


def test_virt_builder_finds_the_current_version() -> None:
    index = parsed(virt_builder.document([virt_builder.fragment(FAMILY)]))

    assert {name: dict(index[name]) for name in index.sections()} == {
        "debian-13": {
            "name": "Debian 13",
            "osinfo": "debian13",
            "arch": "x86_64",
            "file": f"{FOLDER}/debian-13-20260228.qcow2",
            "checksum[sha512]": CURRENT.sha512,
            "format": "qcow2",
            "size": str(CURRENT.virtual_size),
            "compressed_size": str(CURRENT.size),
            "revision": "7",
            "aliases": "trixie",
            "notes": "Stable.\n\nWith cloud-init.",
        }
    }


@pytest.mark.parametrize("text", ["a\n[other]\nfile=x", "a\r\nfile=x", "a\x85[other]"])
def test_no_text_of_users_makes_a_section_or_a_key(text: str) -> None:
    changed = replace(FAMILY, title=text, description=text, template={"expand": text})

    index = parsed(virt_builder.document([virt_builder.fragment(changed)]))

    assert index.sections() == ["debian-13"]
    assert index["debian-13"]["file"] == f"{FOLDER}/debian-13-20260228.qcow2"


@pytest.mark.parametrize(
    ("disk_format", "extension", "is_listed"),
    [
        ("raw", "raw.xz", True),
        ("raw", "raw.gz", False),
        ("iso", "iso", False),
        ("qcow2", "ova", False),
    ],
)
def test_virt_builder_gets_what_it_can_use(
    disk_format: str, extension: str, is_listed: bool
) -> None:
    one = family(disk_format=disk_format, extension=extension)

    assert bool(virt_builder.fragment(one)) == is_listed
    assert virt_builder.fragment(replace(FAMILY, versions=(OLD,))) == {}
