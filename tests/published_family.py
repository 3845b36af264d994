"""A made-up family with two published versions, for tests of the indexes and pages about it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime

from images.publishing.snapshot import PublishedFamily, PublishedVersion

# The user of the key that signs; GnuPG escapes some of the characters.
KEY_USER = "Ímages: nightly <images@example.org>"
DATA = b"the data of a disk"
ARCHIVE = b"the archive"  # with the metadata of the disk, for Incus and LXD
OLD = PublishedVersion(
    label="20260131",
    image_id="5a4d1c5e-4f3e-4d2b-9d55-0a4f8a3f2b11",
    build_date=date(2026, 1, 31),
    published_at=datetime(2026, 2, 1, 12, tzinfo=UTC),
    current=False,
    disk_format="qcow2",
    extension="qcow2",
    size=len(DATA),
    virtual_size=2 << 30,
    md5=hashlib.md5(DATA).hexdigest(),
    sha256=hashlib.sha256(DATA).hexdigest(),
    sha512=hashlib.sha512(DATA).hexdigest(),
    properties={"os_distro": "debian", "os_version": "13"},
    archive=ARCHIVE,
    combined_sha256=hashlib.sha256(ARCHIVE + DATA).hexdigest(),
    document={"name": "debian-13"},
)
CURRENT = replace(OLD, label="20260228", build_date=date(2026, 2, 28), current=True)
FAMILY = PublishedFamily(
    name="debian-13",
    title="Debian 13",
    description="Stable.\n\nWith cloud-init.",
    homepage="https://www.debian.org/",
    architecture="x86_64",
    image_name="debian-13",
    project="",
    revision=7,
    aliases=("trixie",),
    template={"osinfo_id": "debian13"},
    updated_at=datetime(2026, 3, 1, tzinfo=UTC),
    versions=(CURRENT, OLD),
)
