"""What every store promises, asked of each kind: a folder, an object store, a web address."""

from __future__ import annotations

import gc
import http.server
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured

from images import errors, stores
from tests.web import allow_in_process

MIB = 1 << 20
DATA = bytes(range(256)) * (3 * MIB // 256) + b"tail"
KEY = "ab/0c6a2a3e-1111-2222-3333-444455556666.01"
NO_KEYS = [
    "",
    "/etc/passwd",
    "../x",
    "ab/../../x",
    "ab/.hidden",
    "ab//x",
    "ab/x\0",
    ".",
]

S3 = pytest.param("s3", marks=pytest.mark.s3)


@pytest.fixture(params=["folder", S3])
def store(request: pytest.FixtureRequest) -> stores.Store:
    """An empty one that can be written."""
    return _writable(request)


@pytest.fixture(params=["folder", S3, "web"])
def readable(request: pytest.FixtureRequest) -> tuple[stores.Store, str, str]:
    """A store, the key of DATA in it, and a key of nothing."""
    if request.param == "web":
        web = request.getfixturevalue("web")
        return stores.get("http"), f"{web}/image", f"{web}/none"
    store = _writable(request)
    store.put(KEY, _blocks())
    return store, KEY, "ab/none.1"


def _writable(request: pytest.FixtureRequest) -> stores.Store:
    settings = request.getfixturevalue("settings")
    if request.param == "s3":
        s3 = request.getfixturevalue("s3")
        settings.IMAGECATALOG_STORES = s3.store("one", uuid4().hex)
    else:
        folder = request.getfixturevalue("tmp_path") / "images"
        settings.IMAGECATALOG_STORES = f"one=file://{folder}"
    return stores.default()


@pytest.fixture
def web(settings: Any, tmp_path: Path) -> Iterator[str]:
    """The URL of a web server that has DATA under /image, and ignores Range."""
    (tmp_path / "image").write_bytes(DATA)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *args: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        allow_in_process(settings, url)
        yield url
        server.shutdown()


def _blocks() -> Iterator[bytes]:
    for start in range(0, len(DATA), MIB):
        yield DATA[start : start + MIB]


def _broken(error: BaseException, after: int) -> Iterator[bytes]:
    for _ in range(after):
        yield b"x" * MIB
    raise error


# Reading


def test_what_was_put_comes_out(readable: tuple[stores.Store, str, str]) -> None:
    store, key, _ = readable

    blocks = list(store.open(key))

    assert b"".join(blocks) == DATA
    assert {type(block) for block in blocks} == {bytes}
    assert max(map(len, blocks)) < 2 * MIB
    assert store.size(key) == len(DATA)


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, 1),
        (5, 5),
        (7, MIB + 9),
        (MIB, None),
        (len(DATA) - 1, None),
        (len(DATA), None),
        (len(DATA) + 5, None),
        (3, len(DATA) + 99),
        (len(DATA) + 5, len(DATA) + 9),
    ],
)
def test_a_range_is_that_part(
    readable: tuple[stores.Store, str, str], start: int, stop: int | None
) -> None:
    store, key, _ = readable

    assert b"".join(store.open(key, start, stop)) == DATA[start:stop]


@pytest.mark.parametrize("part", [(0, None), (1, None), (1, 5), (5, 5)])
def test_missing_data_is_told_by_the_call_itself(
    readable: tuple[stores.Store, str, str], part: tuple[int, int | None]
) -> None:
    store, _, nothing = readable

    with pytest.raises(errors.DataMissing):
        store.open(nothing, *part)
    with pytest.raises(errors.DataMissing):
        store.size(nothing)


def test_a_reader_can_stop_early_or_before_it_began(
    readable: tuple[stores.Store, str, str],
) -> None:
    store, key, _ = readable

    store.open(key).close()
    blocks = store.open(key)
    next(blocks)
    blocks.close()

    assert list(blocks) == []


def test_a_read_only_store_lets_nothing_in_and_deletes_nothing(web: str) -> None:
    store = stores.get("http")

    with pytest.raises(errors.StoreReadOnly):
        store.put(f"{web}/image", [b"x"])
    store.delete(f"{web}/image")

    assert store.size(f"{web}/image") == len(DATA)
    assert list(store.keys()) == []


# Writing


@pytest.mark.parametrize("blocks", [[], [b""], [b"", b"abc", b"", b"d"]])
def test_few_or_no_bytes_are_an_object_too(
    store: stores.Store, blocks: list[bytes]
) -> None:
    store.put(KEY, blocks)

    assert b"".join(store.open(KEY)) == b"".join(blocks)
    assert list(store.keys()) == [(KEY, len(b"".join(blocks)))]


@pytest.mark.parametrize("after", [0, 1, 20])
@pytest.mark.parametrize(
    "error",
    [
        errors.BodyIncomplete("gone"),
        ConnectionResetError(104, "reset by the client"),
        FileNotFoundError(2, "of the client"),
        OSError(28, "the client's disk is full"),
        ValueError("odd"),
        KeyboardInterrupt(),
        GeneratorExit(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_producer_comes_out_unchanged_and_nothing_stays(
    store: stores.Store, error: BaseException, after: int
) -> None:
    with pytest.raises(type(error)) as caught:
        store.put(KEY, _broken(error, after))

    assert caught.value is error
    assert list(store.keys()) == []


def test_a_key_is_never_written_twice(store: stores.Store) -> None:
    store.put(KEY, [b"first"])

    with pytest.raises(errors.StoreError):
        store.put(KEY, [b"second"])

    assert b"".join(store.open(KEY)) == b"first"


def test_an_object_is_not_there_before_it_is_complete(store: stores.Store) -> None:
    def looking() -> Iterator[bytes]:
        yield b"x" * MIB
        with pytest.raises(errors.DataMissing):
            store.size(KEY)
        yield b"y"

    store.put(KEY, looking())

    assert store.size(KEY) == MIB + 1


def test_what_was_deleted_is_gone_and_can_be_deleted_again(store: stores.Store) -> None:
    store.put(KEY, [b"x"])

    store.delete(KEY)
    store.delete(KEY)

    with pytest.raises(errors.DataMissing):
        store.size(KEY)


def test_all_keys_are_listed_with_their_sizes(store: stores.Store) -> None:
    wanted = {f"{n:02x}/image.{n}": n for n in range(5)}
    for key, size in wanted.items():
        store.put(key, [b"x" * size])

    assert dict(store.keys()) == wanted


@pytest.mark.parametrize("key", NO_KEYS)
def test_a_key_that_could_lead_out_of_the_store_is_refused(
    store: stores.Store, key: str
) -> None:
    for use in (store.open, store.size, store.delete, store.url):
        with pytest.raises(errors.StoreError):
            use(key)
    with pytest.raises(errors.StoreError):
        store.put(key, [b"x"])


# The settings


def test_stores_keep_their_order_and_the_first_is_the_default(settings: Any) -> None:
    settings.IMAGECATALOG_STORES = (
        "b=file:///srv/b?weight=200&description=fast%20disks, a=file:///srv/a"
    )

    first, second = stores.configured()

    assert (first.id, first.weight, first.description) == ("b", 200, "fast disks")
    assert (second.id, second.weight, second.description) == ("a", 0, "")
    assert stores.default() is first
    assert first.url("ab/x") == "file:///srv/b/ab/x"


def test_a_bucket_is_configured_by_its_url(settings: Any) -> None:
    settings.IMAGECATALOG_STORES = "cold=s3://bucket/pre/fix?endpoint=http://127.0.0.1:9000&region=eu-1&weight=-5&part_mib=16"

    store = stores.default()

    assert (store.id, store.type, store.weight) == ("cold", "s3", -5)
    assert store.url("ab/x") == "s3://bucket/pre/fix/ab/x"


def test_the_web_is_always_there_but_not_among_the_configured() -> None:
    assert stores.get("http").read_only
    assert "http" not in [store.id for store in stores.configured()]


def test_an_unknown_store_is_the_callers_mistake() -> None:
    with pytest.raises(errors.Invalid, match="Store for identifier nix not found"):
        stores.get("nix")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "local",
        "=file:///srv",
        "a b=file:///srv",
        "http=file:///srv",
        "os_glance_staging_store=file:///srv",
        "a=file:///srv,a=file:///srv2",
        "a=/srv",
        "a=file://srv/images",
        "a=file:relative",
        "a=file:///srv?colour=red",
        "a=file:///srv?weight=heavy",
        "a=file:///srv#x",
        "a=ftp://host/x",
        "a=s3://key:secret@bucket/x",
        "a=s3://bucket/x?secret_access_key=hunter2",
        "a=s3://bucket/x?colour=red",
        "a=s3://bucket/x?part_mib=1",
        "a=s3://[",
    ],
)
def test_a_wrong_setting_is_told_without_repeating_the_url(
    settings: Any, raw: str
) -> None:
    settings.IMAGECATALOG_STORES = raw

    with pytest.raises(ImproperlyConfigured, match="IMAGECATALOG_STORES") as caught:
        stores.configured()

    assert "hunter2" not in str(caught.value)
    assert "bucket/x" not in str(caught.value)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_what_was_stored_stays_in_no_variable(store: stores.Store) -> None:
    """A reference cycle would keep the last blocks of every object until the next collection."""
    blocks = _blocks()
    source = weakref.ref(blocks)

    with no_garbage_collection():
        store.put(KEY, blocks)
        del blocks

        assert source() is None


def test_a_missing_object_keeps_no_variable_of_its_reader(
    readable: tuple[stores.Store, str, str],
) -> None:
    store, _, missing = readable
    data = _blocks()
    kept = weakref.ref(data)

    def read(held: Iterator[bytes]) -> None:
        with pytest.raises(errors.StoreError):
            next(iter(store.open(missing)))

    with no_garbage_collection():
        read(data)
        del data

        assert kept() is None
