"""The folder store: durable, never more than one block in memory, nothing left behind."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from images import errors
from images.stores import free_space, writeback
from images.stores.local import MARKER, LocalStore

MIB = 1 << 20
KEY = "ab/image.1"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore("local", tmp_path / "deep" / "images")


def files(folder: Path) -> list[str]:
    return [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]


def test_files_and_folders_are_closed_to_others(store: LocalStore) -> None:
    store.put(KEY, [b"x"])

    mode = stat.S_IMODE((store.root / KEY).stat().st_mode)
    assert mode & ~0o640 == 0
    for folder in (store.root, store.root / "ab"):
        assert stat.S_IMODE(folder.stat().st_mode) & ~0o750 == 0


@pytest.mark.parametrize("ask", [LocalStore.open, LocalStore.size, LocalStore.delete])
def test_a_folder_that_is_not_mounted_is_no_missing_object(
    store: LocalStore, ask: Callable[[LocalStore, str], object]
) -> None:
    store.put(KEY, [b"x"])
    store.root.rename(store.root.with_name("elsewhere"))

    with pytest.raises(errors.StoreError, match="mounted") as caught:
        ask(store, KEY)

    assert not isinstance(caught.value, errors.DataMissing)


@pytest.mark.parametrize("ask", [LocalStore.open, LocalStore.size, LocalStore.delete])
def test_an_empty_folder_without_its_marker_is_no_missing_object(
    store: LocalStore, ask: Callable[[LocalStore, str], object]
) -> None:
    store.root.mkdir(parents=True)
    (store.root / "lost+found").mkdir()

    with pytest.raises(errors.StoreError, match="mounted") as caught:
        ask(store, KEY)

    assert not isinstance(caught.value, errors.DataMissing)


def test_a_new_store_is_made_with_its_marker(store: LocalStore) -> None:
    store.check_mounted(lambda: False)

    assert files(store.root) == [MARKER]
    with pytest.raises(errors.DataMissing):
        store.size(KEY)
    store.delete(KEY)


def test_an_empty_folder_of_a_store_in_use_is_refused_until_its_marker_is_made(
    store: LocalStore,
) -> None:
    store.root.mkdir(parents=True)

    with pytest.raises(errors.StoreError, match="create the file"):
        store.check_mounted(lambda: True)
    assert files(store.root) == []
    (store.root / MARKER).touch()

    store.check_mounted(lambda: True)


def test_a_folder_with_objects_of_an_older_version_gets_its_marker(
    store: LocalStore,
) -> None:
    store.put(KEY, [b"x"])

    store.check_mounted(lambda: True)

    assert sorted(files(store.root)) == [MARKER, KEY]


def test_a_store_that_was_never_used_holds_nothing(store: LocalStore) -> None:
    assert list(store.keys()) == []


def test_a_full_disk_is_told_and_leaves_nothing_behind(small_disk: Path) -> None:
    store = LocalStore("local", small_disk / "images")

    with pytest.raises(errors.StoreFull) as caught:
        store.put(KEY, (b"x" * MIB for _ in range(20)))

    assert files(small_disk) == []
    assert str(small_disk) not in str(caught.value)
    store.put(KEY, [b"x" * MIB])  # there is room again


def test_a_reserve_stays_free(small_disk: Path, settings: Any) -> None:
    settings.IMAGECATALOG_STORE_RESERVE = 4 * MIB
    store = LocalStore("local", small_disk / "images")

    store.put(KEY, [b"x" * MIB] * 3)
    with pytest.raises(errors.StoreFull):
        store.put("ab/other", [b"x" * MIB] * 2)

    assert files(small_disk) == [f"images/{KEY}"]


def test_data_larger_than_the_free_space_is_refused_before_it_is_read(
    small_disk: Path,
) -> None:
    def blocks() -> Iterator[bytes]:
        pytest.fail("the data is read")
        yield b""

    with pytest.raises(errors.StoreFull):
        LocalStore("local", small_disk / "images").put(KEY, blocks(), 8 * MIB)


def test_data_on_its_way_has_its_space_already(small_disk: Path) -> None:
    store = LocalStore("local", small_disk / "images")

    def blocks() -> Iterator[bytes]:
        with pytest.raises(errors.StoreFull):
            store.put("ab/other", [b"x" * 4 * MIB], 4 * MIB)
        yield from [b"x" * MIB] * 6

    store.put(KEY, blocks(), 6 * MIB)

    assert store.size(KEY) == 6 * MIB


def test_data_that_is_announced_and_does_not_come_leaves_room_for_others(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_space, "STEP", MIB)
    store = LocalStore("local", small_disk / "images")

    def blocks() -> Iterator[bytes]:
        yield bytes(MIB // 4)
        store.put("ab/other", [bytes(MIB)] * 5, 5 * MIB)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.put(KEY, blocks(), 7 * MIB)

    assert store.size("ab/other") == 5 * MIB


def test_data_that_comes_has_as_much_space_as_it_has_used(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_space, "STEP", MIB // 4)
    store = LocalStore("local", small_disk / "images")

    def blocks() -> Iterator[bytes]:
        yield from [bytes(MIB // 4)] * 9  # 2.25 MiB, and 1.75 claimed
        with pytest.raises(errors.StoreFull):
            store.put("ab/other", [bytes(5 * MIB)], 5 * MIB)
        yield from [bytes(MIB // 4)] * 7

    store.put(KEY, blocks(), 4 * MIB)

    assert store.size(KEY) == 4 * MIB


@pytest.mark.parametrize("size", [None, 4 * MIB])
def test_data_that_failed_or_is_stored_has_no_claim_any_more(
    size: int | None, small_disk: Path
) -> None:
    store = LocalStore("local", small_disk / "images")

    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            store.put(KEY, (bytes(MIB // number) for number in (1, 0)), size)

    store.put(KEY, [bytes(MIB)] * 6, 6 * MIB)


def test_a_disk_without_room_for_the_folder_is_full_too(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,nr_inodes=1", str(small_disk)], check=True)

    with pytest.raises(errors.StoreFull):
        LocalStore("local", small_disk / "images").put(KEY, [b"x"])


def test_other_failures_of_the_disk_are_told_without_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where the folder should be")

    with pytest.raises(errors.StoreError) as caught:
        LocalStore("local", tmp_path / "file").put(KEY, [b"x"])

    assert type(caught.value) is errors.StoreError
    assert "/" not in str(caught.value)


def test_of_two_writers_of_one_key_the_second_is_refused(store: LocalStore) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"first"
        with pytest.raises(errors.StoreError):
            store.put(KEY, [b"second"])

    store.put(KEY, blocks())

    assert (store.root / KEY).read_bytes() == b"first"
    assert files(store.root) == [KEY]


def test_what_a_killed_process_left_is_listed_and_can_be_deleted(
    store: LocalStore,
) -> None:
    store.put(KEY, [b"x"])
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from images.stores.local import LocalStore\n"
        "def blocks():\n"
        "    yield b'half'\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "LocalStore('local', Path(sys.argv[1])).put('cd/image.2', blocks())\n"
    )

    subprocess.run([sys.executable, "-c", program, str(store.root)])

    assert dict(store.keys()) == {KEY: 1, "cd/image.2.part": 4}
    store.delete("cd/image.2.part")
    assert dict(store.keys()) == {KEY: 1}


def test_foreign_things_in_the_folder_are_not_listed(store: LocalStore) -> None:
    store.put(KEY, [b"x"])
    (store.root / "lost+found").mkdir()
    (store.root / ".hidden").write_text("x")
    (store.root / "ab" / "link").symlink_to("/etc/passwd")

    assert dict(store.keys()) == {KEY: 1}


def test_a_link_or_a_folder_is_no_object(store: LocalStore) -> None:
    store.put(KEY, [b"x"])
    (store.root / "ab" / "link").symlink_to("/etc/passwd")

    with pytest.raises(errors.StoreError):
        store.open("ab/link")
    with pytest.raises(errors.DataMissing):
        store.open("ab")


def test_a_folder_that_cannot_be_looked_at_is_an_error_of_the_store(
    tmp_path: Path,
) -> None:
    store = LocalStore("local", tmp_path / ("x" * 256))  # too long for any file system

    with pytest.raises(errors.StoreError, match="File name too long"):
        next(store.keys(), None)


def test_a_folder_that_was_never_written_is_empty(store: LocalStore) -> None:
    assert list(store.keys()) == []


def test_closing_the_reader_closes_the_file(store: LocalStore) -> None:
    store.put(KEY, [b"x" * 3 * MIB])
    before = os.listdir("/proc/self/fd")

    fresh, used = store.open(KEY), store.open(KEY)
    next(used)
    fresh.close()
    used.close()

    assert len(os.listdir("/proc/self/fd")) <= len(before)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(store: LocalStore) -> None:
    store.put(KEY, [b"x" * 3 * MIB])
    blocks = store.open(KEY)
    next(blocks)

    os.truncate(store.root / KEY, MIB)

    with pytest.raises(errors.StoreError):
        list(blocks)


def test_memory_does_not_grow_with_the_object(store: LocalStore) -> None:
    tracemalloc.start()
    try:
        store.put(KEY, (bytes(MIB) for _ in range(100)))
        for _ in store.open(KEY):
            pass
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_data_goes_to_the_disk_while_more_arrives(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writeback, "EVERY", MIB)
    synced: list[str] = []
    real = os.fdatasync

    def fdatasync(file: int) -> None:
        synced.append(threading.current_thread().name)
        real(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    store.put(KEY, (bytes(MIB) for _ in range(50)))

    assert synced
    assert all(name.startswith("write-back") for name in synced)
    assert not [t for t in threading.enumerate() if t.name.startswith("write-back")]


@pytest.mark.parametrize("rarely_read", [False, True])
def test_data_stays_in_the_page_cache_unless_it_is_rarely_read(
    store: LocalStore, tmp_path: Path, rarely_read: bool
) -> None:
    if not _has_disk(tmp_path):
        pytest.skip("This file system has all its data in memory.")
    store.put(KEY, (bytes(MIB) for _ in range(40)), rarely_read=rarely_read)

    with (store.root / KEY).open("rb") as file:
        cached = {_is_cached(file.fileno(), start * MIB) for start in range(40)}
    assert cached == {not rarely_read}


def _has_disk(folder: Path) -> bool:
    with (folder / "probe").open("wb") as file:
        file.write(bytes(MIB))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with (folder / "probe").open("rb") as file:
        return not _is_cached(file.fileno(), 0)


def _is_cached(file: int, start: int) -> bool:
    """Whether a byte of a file can be read without waiting for the disk."""
    try:
        return bool(os.preadv(file, [bytearray(1)], start, os.RWF_NOWAIT))
    except BlockingIOError:
        return False


def test_a_lost_write_that_only_the_background_saw_fails_the_put(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writeback, "EVERY", MIB)

    def fdatasync(file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with pytest.raises(errors.StoreError):
        store.put(KEY, (bytes(MIB) for _ in range(3)))

    assert files(store.root) == []


def test_a_put_that_cannot_sync_its_folder_leaves_nothing_behind(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("ab/other", [b"x"])
    real = os.fsync

    def fsync(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(5, "Input/output error")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(errors.StoreError):
        store.put(KEY, [b"x"])

    assert files(store.root) == ["ab/other"]


def test_file_and_folders_are_synced_in_the_order_that_survives_a_power_cut(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("ab/other", [b"x"])
    done: list[str] = []
    real = os.fsync

    def fsync(file: int) -> None:
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{file}")))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    store.put(KEY, [b"x"])

    assert done == ["image.1.part", "ab", "images"]


def test_a_part_goes_into_a_socket_by_the_kernel(store: LocalStore) -> None:
    store.put(KEY, [b"0123456789"])
    here, there = socket.socketpair()

    with here, there, closing(store.open(KEY, 2, 8)) as part:
        assert [part.send_to(here, most) for most in (4, 9, 9)] == [4, 2, 0]
        assert there.recv(99) == b"234567"


def test_a_file_that_has_become_shorter_is_not_sent_as_if_it_were_whole(
    store: LocalStore,
) -> None:
    store.put(KEY, [b"0123456789"])
    here, there = socket.socketpair()

    with here, there, closing(store.open(KEY)) as part:
        os.truncate(store.root / KEY, 4)
        assert part.send_to(here, 99) == 4
        with pytest.raises(errors.StoreError, match="shorter"):
            part.send_to(here, 99)
