"""Export of an image to a file.

The data is verified, and the file appears under its name only when it is complete.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from images import errors, lifecycle
from images.access import missing
from images.files import sidecar
from images.models import READABLE_STATUSES, Image
from images.stores.digests import Digests, digesting
from images.stores.writeback import PART, WriteBack, sync_folder

BLOCK = 1 << 20  # bytes
MODE = 0o640
LONGEST = (
    150  # bytes of a name; an id and suffixes follow it, and file systems allow 255
)
_ODD = re.compile(r"[^\w.+@=,()\[\] -]")
Watched = Callable[[Iterator[bytes], int | None], Iterator[bytes]]


@dataclass
class Folder:
    """A folder for exported images; ``taken`` are the file names that this export has already used."""

    path: Path
    taken: set[str] = field(default_factory=set)

    def place(self, image: Image) -> Path:
        """Return the path in this folder to which an image is exported, usually ``NAME.FORMAT``.

        If that file belongs to another image, the path is ``NAME-ID.FORMAT``; if the image has no
        usable name, ``ID.FORMAT``.
        """
        stem, ending = _stem(image), image.disk_format or "img"
        plain = f"{stem or image.pk}.{ending}"
        if stem and (plain in self.taken or self._is_of_another(plain, image)):
            plain = f"{stem}-{image.pk}.{ending}"
        self.taken.add(plain)
        return self.path / plain

    def _is_of_another(self, name: str, image: Image) -> bool:
        with suppress(errors.Invalid):
            existing = sidecar.read(sidecar.beside(self.path / name))
            return existing is not None and existing.image_id != image.pk
        return False


def _stem(image: Image) -> str:
    """Return the image's name in a form that is safe for shells and file systems, without suffix.

    Other characters are replaced or removed. Empty if no character is left.
    """
    name = (image.name or "").removesuffix(f".{image.disk_format}")
    plain = (
        _ODD.sub("_", name).encode(errors="ignore")[:LONGEST].decode(errors="ignore")
    )
    return plain.lstrip(".- ").rstrip(". ")


def exportable_image(image_id: str) -> Image:
    """Return the image with this id for an export.

    Raises NotFound if there is none, and Conflict if it has no data.
    """
    image = Image.objects.existing().filter(pk=image_id).first()
    if image is None:
        raise missing(image_id)
    if image.status not in READABLE_STATUSES:
        raise errors.Conflict(f"The image has no data: its status is {image.status}.")
    return image


def export_to(
    path: Path,
    image: Image,
    *,
    metadata: bool = True,
    force: bool = False,
    skip_existing: bool = False,
    watched: Watched = lambda blocks, size: blocks,
) -> bool:
    """Write an image's data to the file ``path``, with a sidecar; return True if it was written.

    Returns False if ``skip_existing`` is true and the file already has the data of the image.
    Without ``metadata`` no sidecar is written. ``force`` overwrites files. ``watched`` gets the
    blocks and their total size in bytes and returns the blocks, for example to show progress. After
    a failure there is no new file. Raises Conflict for a file that must not be overwritten,
    StoreError for missing or damaged data and for errors of the disk.
    """
    if not force and os.path.lexists(path):
        with disk_errors():
            if skip_existing and _holds(path, image, metadata):
                return False
        raise errors.Conflict(
            f"{path.name} exists. Move it away, or overwrite it with --force."
        )
    if metadata and not force:
        _check_sidecar_replaceable(sidecar.beside(path))
    with (
        closing(lifecycle.read(image.pk)) as blocks,  # type: ignore[type-var]
        Digests(*_algorithms(image)) as digests,
        placed(path, force) as file,
    ):
        write_durably(file, digesting(watched(blocks, image.size), digests))
        hexdigests = digests.hexdigests()
        _verify(image, digests.size, hexdigests)
    document = sidecar.document(image, digests.size, _known(image) | hexdigests)
    with disk_errors(), _removed_on_failure(path):
        if metadata:
            _write_sidecar(sidecar.beside(path), document)
        elif force:  # the old sidecar belongs to the overwritten file
            sidecar.beside(path).unlink(missing_ok=True)
    return True


def _known(image: Image) -> dict[str, str]:
    """Return the digests that the catalogue knows of an image's data: algorithm -> value.

    The strongest algorithm comes first. Empty if no digest is known.
    """
    known = {}
    if image.os_hash_algo in sidecar.ALGORITHMS and image.os_hash_value:
        known[str(image.os_hash_algo)] = image.os_hash_value
    if image.checksum:
        known["md5"] = image.checksum
    return known


def _algorithms(image: Image) -> list[str]:
    return [*_known(image), "sha512"][:1]


def _verify(image: Image, size: int, hexdigests: Mapping[str, str]) -> None:
    known = _known(image)
    if image.size not in (None, size):
        raise errors.StoreError(
            f"The data is damaged: it has {size} bytes, and should have {image.size}."
        )
    for algorithm, value in hexdigests.items():
        if known.get(algorithm, value) != value:
            raise errors.StoreError(
                f"The data is damaged: its {algorithm} digest is {value}, and should be "
                f"{known[algorithm]}."
            )


def _holds(path: Path, image: Image, metadata: bool) -> bool:
    """Return whether the file at ``path`` already has all data of the image.

    If it has, the sidecar is updated or created, unless ``metadata`` is false.
    """
    if path.is_symlink() or not path.is_file():
        return False
    size = path.stat().st_size
    known = _known(image)
    if image.size not in (None, size):
        return False
    beside = sidecar.beside(path)
    try:
        existing = sidecar.read(beside)
    except errors.Invalid:
        return False
    if existing is None:
        # Exported without a sidecar, or the process died before it wrote the sidecar.
        digests = _digests_of(path, image)
        if not _agree(digests, known):
            return False
    else:
        digests = existing.digests
        same = existing.image_id == image.pk and existing.size == size
        if not (same and _agree(digests, known)):
            return False
    if metadata:
        _refresh(beside, sidecar.document(image, size, known))
    return True


def _digests_of(path: Path, image: Image) -> dict[str, str]:
    with Digests(*_algorithms(image)) as digests, path.open("rb") as file:
        for _ in digesting(iter(lambda: file.read(BLOCK), b""), digests):
            pass
        return digests.hexdigests()


def _refresh(beside: Path, document: bytes) -> None:
    if not beside.exists() or beside.read_bytes() != document:
        _write_sidecar(beside, document)


def _agree(claimed: Mapping[str, str], known: Mapping[str, str]) -> bool:
    """Return whether two sets of digests (algorithm -> value) can belong to the same data.

    They must have at least one algorithm in common, and equal digests for each common
    algorithm.
    """
    common = claimed.keys() & known.keys()
    return bool(common) and all(claimed[name] == known[name] for name in common)


def _check_sidecar_replaceable(path: Path) -> None:
    try:
        sidecar.read(path)
    except errors.Invalid:
        raise errors.Conflict(
            f"{path.name} exists and is not a sidecar. Move it away, or use --no-metadata."
        ) from None


@contextmanager
def _removed_on_failure(path: Path) -> Generator[None, None, None]:
    """A context manager that removes the file at ``path`` if it ends with an exception."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def _write_sidecar(path: Path, document: bytes) -> None:
    with placed(path, force=True) as file:
        write_durably(file, [document])


def write_durably(file: int, blocks: Iterable[bytes]) -> None:
    """Write blocks into an open file, and sync it.

    Raises StoreFull, StoreError, and the exceptions of ``blocks``.
    """
    with WriteBack(file) as write_back:
        for block in blocks:
            with disk_errors():
                write_back.write(block)
        with disk_errors():
            write_back.finish()


@contextmanager
def placed(path: Path, force: bool, mode: int = MODE) -> Generator[int, None, None]:
    """A context manager that opens a temporary file, and renames it to ``path`` at the end.

    Yields the file descriptor. ``mode`` are the permissions of a new file, less the umask. After
    an exception, the temporary file is removed. Raises Conflict if ``path`` exists at the end,
    unless ``force`` allows to overwrite it.
    """
    part = path.with_name(path.name + PART)
    with disk_errors():
        file = _locked(part, mode)
    try:
        yield file
        with disk_errors():
            if not force and os.path.lexists(path):
                raise errors.Conflict(
                    f"{path.name} was created meanwhile. Move it away, or overwrite it with "
                    "--force."
                )
            os.rename(part, path)
            sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise
    finally:
        os.close(file)


def _locked(part: Path, mode: int) -> int:
    """Open, lock and empty the temporary file ``part`` of an export; return its file descriptor.

    Raises Conflict if another process is writing the file.
    """
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(part, flags, mode)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its previous owner may have renamed or removed the file between open and lock.
            if os.path.samestat(os.fstat(file), os.lstat(part)):
                os.ftruncate(file, 0)
                return file
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(file)
            raise errors.Conflict(
                "Another export is writing this file. Try again when it has ended."
            ) from None
        except BaseException:
            os.close(file)
            raise
        os.close(file)


@contextmanager
def disk_errors() -> Generator[None, None, None]:
    """A context manager that turns errors of the file system into StoreFull or StoreError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise errors.StoreFull(
                "No space is left for the file. Free some, or export to another folder."
            ) from error
        reason = os.strerror(error.errno or errno.EIO)
        raise errors.StoreError(f"The file cannot be written: {reason}.") from error
