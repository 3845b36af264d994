"""What the clients were told: of each image the statuses that it may have now, and its bytes.

An answer 2xx leaves one possibility; a connection that breaks, or a 5xx, adds one.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.crash.judge import Row

ABSENT = ""
TRASH = frozenset(
    ("pending_delete", "deleted")
)  # the worker goes from one to the other
READABLE = frozenset(("active", "deactivated"))


@dataclass(frozen=True)
class Body:
    """The data of an image, always the same for one image."""

    number: int
    data: bytes
    hash_value: str  # SHA-512, hexadecimal

    @property
    def is_disk(self) -> bool:
        """Whether the size is that of a disk, which another format can keep."""
        return bool(self.data) and len(self.data) % 512 == 0

    def as_qcow2(self) -> bytes:
        """The same disk in another format."""
        with TemporaryDirectory() as name:
            raw, disk = Path(name, "raw"), Path(name, "qcow2")
            raw.write_bytes(self.data)
            command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk]
            subprocess.run(command, check=True)
            return disk.read_bytes()


def bodies(dice: random.Random) -> list[Body]:
    """From nothing to more than one part of an upload to S3; large ones are rare."""
    sizes = [0, 1, 4096, 70_000, 300_000, 1 << 20, 2_500_000, 9 << 20]
    data = [dice.randbytes(size) for size in sizes]
    return [
        Body(number, one, hashlib.sha512(one).hexdigest())
        for number, one in enumerate(data)
    ]


@dataclass
class Entry:
    """An image. One client alone works on it, one verb after the other."""

    id: str
    body: Body
    may: frozenset[str] = frozenset((ABSENT, "queued"))
    before: frozenset[str] = READABLE  # what a restore leads to
    names: set[str] = field(default_factory=set)
    upload: str = ""  # the path of a resumable one of which the end is not known
    copying: bool = False  # a worker fetches it, or is to
    locating: bool = False  # that worker only reads it
    emptied: bool = False  # it has had data, perhaps

    def acknowledged(self, status: frozenset[str]) -> None:
        if status == TRASH and self.may & READABLE:
            self.before = self.may & READABLE
        self.may = status

    def unknown(self, status: frozenset[str]) -> None:
        if status == TRASH and self.may & READABLE:
            self.before = self.may & READABLE
        self.may |= status

    @property
    def copied(self) -> frozenset[str]:
        """The statuses after a copy whose worker may die; queued only if it lost data before."""
        return frozenset(("active", "killed", *(["queued"] if self.emptied else [])))

    @property
    def gone(self) -> bool:
        return self.may <= {ABSENT, "deleted"}

    def wrong(self, row: Row | None) -> str | None:
        """Return how the row contradicts what may be, or None; afterwards only the row may be."""
        self.copying = self.locating = False
        status = row.status if row else ABSENT
        allowed, self.may = self.may, self._certain(status)
        if status not in allowed:
            return f"is {status or 'absent'}, may be {' or '.join(sorted(allowed))}"
        if row is None:
            return None
        names, self.names = self.names, {row.name or ""}
        if row.name not in names and status != "deleted":
            return f"is called {row.name}, may be {' or '.join(sorted(names))}"
        if status in READABLE and row.hash_value != self.body.hash_value:
            return "has the digest of other bytes"
        return None

    @staticmethod
    def _certain(status: str) -> frozenset[str]:
        return TRASH if status == "pending_delete" else frozenset((status,))


def wrongs(
    entries: list[Entry], rows: Mapping[str, Row]
) -> Iterator[tuple[str, str, str]]:
    """(kind, image, words) of all that differs from what was acknowledged."""
    for entry in entries:
        if words := entry.wrong(rows.get(entry.id)):
            yield "lost", entry.id, words
