"""The store in a local folder; its objects survive a power failure.

obstore is not used here, because its local store does not fsync.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import (
    ExitStack,
    contextmanager,
    nullcontext,
    suppress,
)
from functools import partial
from pathlib import Path

from images.errors import DataMissing, StoreError
from images.failpoints import failpoint
from images.stores import free_space, keys
from images.stores.error_counts import READ, counted, counting
from images.stores.patience import Patience
from images.stores.writeback import PART, WriteBack, sync_folder

BLOCK = 1 << 20  # bytes
SENT_AT_ONCE = 16 << 20  # bytes
FILE_MODE = 0o640  # the group can be that of a web server, which sends the files itself
FOLDER_MODE = 0o750
MISSING = "The data is no longer in the store."
NOT_MOUNTED = "The store's folder does not exist. Is it mounted?"
MARKER = ".imagecatalog"  # a file in every folder that is a store
EMPTY = (
    "The store's folder is empty, although the catalogue has data in it. Is it mounted? If the "
    f"data is lost, create the file {MARKER} in the folder."
)


class LocalStore:
    """A store in the local folder ``root``, which is created when the store is first used."""

    type = "file"
    read_only = False

    def __init__(
        self,
        store_id: str,
        root: Path,
        weight: int = 0,
        description: str = "",
        *,
        cached: bool = False,
    ) -> None:
        self.id = store_id
        self.root = root
        self._base = root.as_uri() + "/"
        self.weight = weight
        self.description = description
        self.cached = cached
        self._patience = Patience()

    @property
    def properties(self) -> dict[str, object]:
        """The folder, and the size in bytes of the blocks in which data is read and written."""
        return {
            "data_dir": str(self.root),
            "chunk_size": BLOCK,
            "thin_provisioning": False,
        }

    def check_mounted(self, in_use: Callable[[], bool]) -> None:
        """Create the folder, and in it the file that marks the folder as a store.

        Raises StoreError if the folder has neither this file nor any objects, and ``in_use``
        returns True: it is probably not mounted.
        """
        marker = self.root / MARKER
        if marker.exists():
            return
        if self._is_empty() and in_use():
            raise StoreError(EMPTY)
        with _store_errors():
            _make_folder(self.root)
            marker.touch(FILE_MODE)

    @counted("write")
    def put(
        self,
        key: str,
        blocks: Iterable[bytes],
        size: int | None = None,
        rarely_read: bool = False,
    ) -> None:
        """Store an object: write ``<key>.part``, sync it, rename it to the key, sync the folder.

        The part file reserves the key: a second writer of the same key is refused, and so is an
        existing key. With ``rarely_read`` the data leaves the page cache as soon as it is on
        the disk. Raises StoreFull, StoreError, and the exceptions of ``blocks``; StoreFull
        before the first block, if data of ``size`` bytes does not fit.
        """
        final = self._path(key)
        part = final.with_name(final.name + PART)
        with ExitStack() as undo:
            with _store_errors():
                _make_folder(final.parent)
                claim = free_space.Claim(final.parent, size)
                undo.callback(claim.release)
                file = _create(part)
                undo.callback(_remove, part)
                undo.callback(_close, file)
                failpoint("local.created")
                _refuse_existing(final)
            with WriteBack(file, rarely_read=rarely_read) as write_back:
                _write(write_back, blocks, claim)
            with _store_errors():
                _refuse_existing(final)
                os.rename(part, final)
                undo.callback(_remove, final)
                failpoint("local.renamed")
                self._sync_folders(final.parent)
            undo.pop_all()
            claim.release()
            _close(file)

    @counted(READ)
    def open(self, key: str, start: int = 0, stop: int | None = None) -> FilePart:
        """Return bytes [start, stop) of an object in blocks of 1 MiB.

        ``stop`` None: to the end of the object. Raises DataMissing if there is no such object,
        StoreError if the store fails.
        """
        with self._patience.reading(), self._reading():
            file = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                size = _regular(os.fstat(file))
                os.posix_fadvise(file, start, 0, os.POSIX_FADV_SEQUENTIAL)
            except BaseException:
                os.close(file)
                raise
        stop = size if stop is None else min(stop, size)
        return FilePart(file, start, stop, self.id, self._patience)

    @counted("size")
    def size(self, key: str) -> int:
        """Return the size of an object in bytes.

        Raises DataMissing if there is no such object, StoreError if the store fails.
        """
        with self._patience.reading(), self._reading():
            return _regular(os.lstat(self._path(key)))

    def free(self) -> int:
        """Return the free bytes of the store's disk. Raises StoreError if the store fails."""
        with self._patience.reading(), _store_errors():
            status = os.statvfs(self.root)
        return status.f_bavail * status.f_frsize

    @counted("delete")
    def delete(self, key: str, *, abandoned: bool = False) -> None:
        """Remove an object, and the file of an unfinished write to the same key.

        Safe to call twice. ``abandoned`` makes no difference. Raises StoreError if the store
        fails.
        """
        path = self._path(key)
        # The part file first: if it is renamed meanwhile, the final name is still removed.
        for name in (path.with_name(path.name + PART), path):
            with suppress(DataMissing), self._reading():
                os.unlink(name)
                sync_folder(path.parent)

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield (key, size in bytes) of every file, including the files of unfinished writes.

        Raises StoreError if the folder cannot be read.
        """
        # Without the folder no object was stored yet; if one was, opening it raises StoreError.
        with _store_errors():
            exists = self.root.is_dir()
        return self._walk("") if exists else iter(())

    def url(self, key: str) -> str:
        """Return the ``file:///…`` URL of an object."""
        return self._base + keys.checked(key)

    def _is_empty(self) -> bool:
        """Return whether the store's folder is missing, or has no entry whose name can be a key.

        The folders of removed objects stay, so the result is False for a store from which all
        objects were removed.
        """
        with _store_errors(), suppress(FileNotFoundError):
            return not any(map(keys.is_key, os.listdir(self.root)))
        return True

    def _path(self, key: str) -> Path:
        return self.root / keys.checked(key)

    def _sync_folders(self, folder: Path) -> None:
        """Sync a folder and all its parents up to the store's root.

        Another writer can have created one of these folders without having synced it yet.
        """
        sync_folder(folder)
        if folder != self.root:
            self._sync_folders(folder.parent)

    def _walk(self, folder: str) -> Iterator[tuple[str, int]]:
        names: list[str] = []
        with suppress(DataMissing), self._reading():
            names = sorted(os.listdir(self.root / folder))
        # Names that are no keys do not belong to the store: lost+found, snapshots, hidden files.
        for key in filter(keys.is_key, (folder + name for name in names)):
            yield from self._entry(key)

    def _entry(self, key: str) -> Iterator[tuple[str, int]]:
        try:
            with self._reading():
                status = os.lstat(self.root / key)
        except DataMissing:  # removed since it was listed
            return
        if stat.S_ISDIR(status.st_mode):
            yield from self._walk(key + "/")
        if stat.S_ISREG(status.st_mode):
            yield key, status.st_size

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn errors of the file system within the context into errors of a store.

        A missing file becomes DataMissing; any other error, also a missing folder of the
        store, becomes StoreError.
        """
        try:
            with _store_errors():
                yield
        except StoreError as error:
            if not isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                raise
            if not self.root.is_dir():
                raise StoreError(NOT_MOUNTED) from error.__cause__
            if self._is_empty() and not (self.root / MARKER).exists():
                raise StoreError(EMPTY) from error.__cause__
            raise DataMissing(MISSING) from error.__cause__


@contextmanager
def _store_errors() -> Iterator[None]:
    """Turn errors of the file system within the context into StoreError or StoreFull.

    Do not iterate over blocks of data within the context: the errors of their source are no
    errors of the store.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise free_space.full() from error
        raise StoreError(
            f"The store failed: {os.strerror(error.errno or errno.EIO)}."
        ) from error


def _make_folder(folder: Path) -> None:
    """Create a folder and its parents, and sync each parent of a new folder."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(FOLDER_MODE)
    sync_folder(folder.parent)


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, FILE_MODE)
    except FileExistsError as error:
        raise StoreError("The store refuses a key that is being written.") from error


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise StoreError("The store refuses a key that exists already.")


def _write(
    write_back: WriteBack, blocks: Iterable[bytes], claim: free_space.Claim
) -> None:
    for block in blocks:
        with _store_errors():
            claim.use(len(block))
            write_back.write(block)
    with _store_errors():
        write_back.finish()


def _close(file: int) -> None:
    """Close a file; errors are ignored, because the preceding fsync has reported them."""
    with suppress(OSError):
        os.close(file)


def _remove(path: Path) -> None:
    """Remove a file after a failure; another error must not hide that failure."""
    with suppress(OSError):
        os.unlink(path)


def _regular(status: os.stat_result) -> int:
    if not stat.S_ISREG(status.st_mode):
        raise DataMissing(MISSING)
    return status.st_size


class FilePart(Iterator[bytes]):
    """Bytes [position, stop) of an open file, read as blocks or sent to a socket by the kernel."""

    def __init__(
        self,
        file: int,
        position: int,
        stop: int,
        source: str = "",
        patience: Patience | None = None,
    ) -> None:
        """Take over the descriptor ``file``, which this object closes.

        ``source`` is the id of the store. ``patience`` limits how many threads read from the
        store's file system: reads raise StoreError if it hangs.
        """
        self._file, self._position, self._stop = file, position, stop
        self.source = source
        self._reading = patience.reading if patience else nullcontext
        # Without a store, the file is one of the read cache.
        self._counting = partial(counting, source, READ) if source else nullcontext

    def __next__(self) -> bytes:
        if self._file < 0 or self._position >= self._stop:
            raise StopIteration
        with self._counting():
            with self._reading(), _store_errors():
                block = os.pread(self._file, self._room(BLOCK), self._position)
            self._advance(len(block))
        return block

    def send_to(self, sock: socket.socket, most: int) -> int:
        """Send up to ``most`` bytes with sendfile and return how many were sent; 0 at the end.

        Raises StoreError if the file has become shorter, and OSError as ``sock.send`` does.
        """
        if self._file < 0 or self._position >= self._stop:
            return 0
        # Limited, so that the caller can check between two calls whether the client reads.
        count = self._room(min(most, SENT_AT_ONCE))
        with self._counting():
            with self._reading():
                sent = os.sendfile(sock.fileno(), self._file, self._position, count)
            self._advance(sent)
        return sent

    def take(self) -> FilePart:
        """Move the open file, with the bytes not read yet, to a new FilePart, and return that.

        Reads of the new object can hang, because no ``Patience`` limits them: use it in a
        thread that serves this store alone.
        """
        file, self._file = self._file, -1
        return FilePart(file, self._position, self._stop, self.source)

    def fileno(self) -> int:
        """Return the descriptor of the open file, which this object closes."""
        return self._file

    def status(self) -> os.stat_result:
        """Return the status of the file as ``os.fstat`` does, such as its size and inode."""
        return os.fstat(self._file)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        self.close()

    def _room(self, most: int) -> int:
        return min(most, self._stop - self._position)

    def _advance(self, count: int) -> None:
        if not count:
            raise StoreError("The data in the store is shorter than it was.")
        self._position += count
