"""A folder with a static copy of a published tree, for a web server, rsync, a bucket or a disk.

New files come before the indexes that name them, and each file appears under its name when it is
complete. So an interrupted copy, or one for which the disk is too small, leaves the former indexes
with all their files, and can be repeated: files that are there already are kept.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from images import errors, lifecycle
from images.files.exporting import disk_errors, placed, write_durably
from images.publishing import checksum_files
from images.stores.digests import Digests, digesting
from images.stores.local import FilePart
from images.stores.writeback import PART

MARKER: Final = ".imagecatalog-publication"  # a file in each folder with a copy
MODE: Final = 0o666  # less the umask: the files of a copy are for others to read
FICLONE: Final = 0x40049409  # linux/fs.h

Watched = Callable[[Iterator[bytes], int, str], Iterator[bytes]]


class Method(StrEnum):
    """A way to bring the data of images into a copy."""

    # Blocks are shared with the store if the file system can, else copied.
    SHARE = "share"
    COPY = "copy"
    LINK = "link"  # a hard link to the file in the store


@dataclass(frozen=True, slots=True)
class Data:
    """The data of an image, as the content of a file."""

    image_id: str
    size: int  # bytes
    sha256: str  # in hex


@dataclass(slots=True)
class Report:
    """The result of a run of the copy: numbers of images and files."""

    copied: int = 0
    shared: int = 0  # without a copy: blocks shared, or linked
    present: int = 0
    removed: int = 0
    unlisted: int = 0  # files that are no longer published, and stay


class StaticCopy:
    """A folder that becomes a copy of a published tree. ``opened`` makes one."""

    def __init__(
        self, folder: Path, former_indexes: set[str], method: Method, watched: Watched
    ) -> None:
        """Prepare a copy in ``folder``, in which another run may have made an earlier copy.

        ``former_indexes`` are the paths of the indexes that the earlier copy has. ``watched`` gets
        the blocks of each file, its size in bytes and its name, and yields the blocks, for example
        with a progress bar.
        """
        self.report = Report()
        self._folder = folder
        self._former_indexes = former_indexes
        self._method = method
        self._watched = watched
        self._indexes: set[str] = set()
        self._files: set[str] = set()

    def put(self, path: str, content: bytes) -> None:
        """Write a small file that belongs to one version. Raises StoreFull and StoreError."""
        self._files.add(path)
        target = self._place(path)
        with disk_errors():
            if target.is_file() and target.read_bytes() == content:
                return
            part = _fresh_part(target)
            part.write_bytes(content)
            part.replace(target)

    def put_index(self, path: str, content: bytes) -> None:
        """Write a small file that changes with the versions that are published.

        Raises StoreFull and StoreError.
        """
        self._indexes.add(path)
        self.put(path, content)

    def put_data(self, path: str, data: Data) -> None:
        """Write the data of an image, unless the file has it already, and its checksum file.

        The checksum file tells the next copy that the file is complete. Raises StoreFull and
        StoreError, such as DataMissing and DataDamaged.
        """
        target = self._place(path)
        beside = f"{path}.sha256"
        checksum = checksum_files.text({target.name: data.sha256})
        if self._has(target, data.size, self._folder / beside, checksum):
            self.report.present += 1
        else:
            with disk_errors():
                _fresh_part(target)
                (self._folder / beside).unlink(missing_ok=True)
            self._bring(target, data)
        self._files.add(path)
        self.put(beside, checksum)

    def put_again(self, path: str, source: str) -> None:
        """Add the file ``source`` of the copy under a second path: a hard link, or else a copy.

        The second path counts as an index, whose content changes from run to run. Raises StoreFull
        and StoreError.
        """
        self._indexes.add(path)
        self._files.add(path)
        target, first = self._place(path), self._folder / source
        with disk_errors():
            if target.exists() and target.samefile(first):
                return  # rename() would leave both names
            part = _fresh_part(target)
            if not _linked(first, part):
                shutil.copyfile(first, part)
            part.replace(target)

    def finish(self, *, delete: bool) -> None:
        """Remove former indexes, and with ``delete`` all other files that are not published.

        Raises StoreError if a file cannot be removed.
        """
        with disk_errors():
            for former in self._former_indexes - self._files:
                self._remove(self._place(former))
            (self._folder / MARKER).write_text(
                "".join(f"{path}\n" for path in sorted(self._indexes))
            )
            for other in list(self._others()):
                if delete:
                    self._remove(other)
                else:
                    self.report.unlisted += 1

    def _place(self, path: str) -> Path:
        """Return the place of a file. Raises Conflict if a symbolic link leads out of the folder."""
        target = self._folder / path
        for parent in target.parents:
            if parent == self._folder:
                break
            if parent.is_symlink():
                raise errors.Conflict(
                    f"{parent} is a symbolic link: the files would be written elsewhere. Remove "
                    "it, or name the folder to which it leads as the folder of the copy."
                )
        return target

    def _has(self, target: Path, size: int, beside: Path, checksum: bytes) -> bool:
        with disk_errors():
            is_complete = target.is_file() and target.stat().st_size == size
            return is_complete and beside.is_file() and beside.read_bytes() == checksum

    def _bring(self, target: Path, data: Data) -> None:
        with closing(lifecycle.read(data.image_id)) as blocks:  # type: ignore[type-var]
            source = blocks if isinstance(blocks, FilePart) else None
            if source and self._method == Method.LINK and _link(source, target):
                self.report.shared += 1
                return
            with placed(target, force=True, mode=MODE) as file:
                if source and self._method != Method.COPY and _cloned(file, source):
                    self.report.shared += 1
                    return
                self._copy(file, blocks, data, target.name)
                self.report.copied += 1

    def _copy(self, file: int, blocks: Iterator[bytes], data: Data, name: str) -> None:
        with Digests("sha256") as digests:
            shown = self._watched(blocks, data.size, name)
            write_durably(file, digesting(shown, digests))
            if digests.hexdigests()["sha256"] != data.sha256:
                raise errors.DataDamaged(
                    "The data in the store is damaged: its digest differs from the one that is "
                    f"published. Run `image_verify {data.image_id}`, which reads all copies."
                )

    def _others(self) -> Iterator[Path]:
        """Yield the files in the folder that do not belong to the published tree."""
        for folder, _folders, names in os.walk(self._folder):
            for name in names:
                path = Path(folder, name)
                relative = path.relative_to(self._folder).as_posix()
                if relative not in self._files and relative != MARKER:
                    yield path

    def _remove(self, path: Path) -> None:
        """Remove a file, and its folders if they are empty then."""
        if not path.is_file() and not path.is_symlink():
            return
        path.unlink()
        self.report.removed += 1
        for folder in path.parents:
            if folder == self._folder or any(folder.iterdir()):
                return
            folder.rmdir()


@contextmanager
def opened(
    folder: Path, method: Method, watched: Watched
) -> Generator[StaticCopy, None, None]:
    """A context manager that yields a copy in ``folder``, which no other process writes meanwhile.

    Creates the folder. Raises Conflict if another process is writing it, or if it has other
    files than those of a copy; StoreError if it cannot be written.
    """
    with disk_errors():
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / MARKER).is_file():
            raise errors.Conflict(
                f"{folder} has other files. Choose an empty folder, or one with an earlier copy."
            )
        marker = (folder / MARKER).open("a+")
    with marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise errors.Conflict(
                f"Another process is writing to {folder}. Try again when it has ended."
            ) from None
        marker.seek(0)
        former = set(filter(_is_inside, marker.read().splitlines()))
        yield StaticCopy(folder, former, method, watched)


def _is_inside(path: str) -> bool:
    """Return whether a relative path, which others may have written, stays within its folder."""
    parts = PurePosixPath(path).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts


def _fresh_part(target: Path) -> Path:
    """Return the path of the partial file that will be renamed to ``target``; no file is there.

    A partial file of a killed run is removed first: it can be a link to stored data, to which
    nothing must be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + PART)
    part.unlink(missing_ok=True)
    return part


def _link(blocks: FilePart, target: Path) -> bool:
    """Make a hard link to the file of a store; return False if that is not possible."""
    with disk_errors():
        part = _fresh_part(target)
        if not _linked(Path(os.readlink(f"/proc/self/fd/{blocks.fileno()}")), part):
            return False
        part.replace(target)
    return True


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        return False
    return True


def _cloned(file: int, blocks: FilePart) -> bool:
    """Let an empty file share the blocks of a store's file; return False if that is not possible."""
    try:
        fcntl.ioctl(file, FICLONE, blocks.fileno())
    except OSError:
        return False
    with disk_errors():
        os.fsync(file)
    return True
