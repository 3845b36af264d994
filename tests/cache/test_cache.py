"""The read cache: what is filled, when it is used, what makes room, and what never reaches a client."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from images import cache, errors, lifecycle, stores
from images.access import Caller
from images.models import Image
from tests.cache.conftest import MIB, download
from tests.web import serving_files

pytestmark = pytest.mark.django_db


def is_data_of(image: Image, data: bytes) -> bool:
    return hashlib.sha512(data).hexdigest() == image.os_hash_value


def lose(image: Image) -> None:
    """Remove the data from its store, so that only the cache can have it."""
    location = image.locations.get()
    stores.get(location.store).delete(location.key)


def cached(image: Image, cache_dir: Path) -> Path:
    (path,) = (cache_dir / "data").glob(f"{image.pk}.*")
    return path


def test_a_download_fills_the_cache_and_the_next_one_needs_no_store(
    remote: Any,
) -> None:
    image = remote(3 * MIB + 7)
    assert is_data_of(image, download(image))
    lose(image)

    assert is_data_of(image, download(image))
    assert cache.statistics() == (1, image.size, 1, 1, 0)
    (entry,) = cache.contents()
    assert (entry.image_id, entry.size) == (image.pk, image.size)
    assert (entry.checksum, entry.hits) == (image.checksum, 1)


def test_a_hit_is_a_file_that_the_kernel_can_send(remote: Any) -> None:
    image = remote()
    download(image)

    assert hasattr(lifecycle.read(image.pk), "send_to")


def test_a_range_is_served_from_the_cache_and_fills_nothing(remote: Any) -> None:
    image = remote(MIB)
    middle = b"".join(lifecycle.read(image.pk, 10, 20))
    assert cache.contents() == []
    data = download(image)
    lose(image)

    assert b"".join(lifecycle.read(image.pk, 10, 20)) == middle == data[10:20]
    assert b"".join(lifecycle.read(image.pk, MIB - 3)) == data[-3:]


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_a_download_that_ends_early_leaves_nothing(
    blocks: int, remote: Any, cache_dir: Path
) -> None:
    image = remote(3 * MIB)
    reading = lifecycle.read(image.pk, 0, image.size)
    for _ in range(blocks):
        next(reading)

    reading.close()

    assert cache.contents() == []
    assert not list(cache_dir.glob("parts/*"))


def test_data_with_another_digest_is_not_cached(remote: Any, cache_dir: Path) -> None:
    image = remote(3 * MIB)
    location = image.locations.get()
    stores.default().delete(location.key)
    stores.default().put(location.key, [bytes(image.size)])

    with pytest.raises(errors.StoreError, match="digest differs"):
        download(image)

    assert cache.contents() == []
    assert not list(cache_dir.glob("parts/*"))


def test_two_downloads_at_once_fill_the_cache_once(
    remote: Any, cache_dir: Path
) -> None:
    image = remote(3 * MIB)
    first = lifecycle.read(image.pk, 0, image.size)
    begin = next(first)

    assert is_data_of(image, download(image))
    assert cache.contents() == []
    assert len(list(cache_dir.glob("parts/*"))) == 1
    assert is_data_of(image, begin + b"".join(first))
    assert cache.statistics().fills == len(cache.contents()) == 1


def test_a_killed_process_leaves_a_part_that_the_next_download_replaces(
    remote: Any, cache_dir: Path
) -> None:
    image = remote(3 * MIB)
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "imagecatalog.settings",
        "IMAGECATALOG_CACHE_DIR": str(cache_dir),
    }
    content = (image.pk, image.size, "sha512", image.os_hash_value, image.checksum)
    process = subprocess.Popen(
        [sys.executable, "-c", FILL_AND_WAIT, repr(content)],
        env=env,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"filling\n"
    download(image)
    assert cache.contents() == []  # the other process fills the cache
    process.kill()
    process.communicate()

    download(image)

    assert len(cache.contents()) == 1
    assert not list(cache_dir.glob("parts/*"))


FILL_AND_WAIT = """
import ast, sys, time
import django
django.setup()
from images import cache
content = cache.Content(*ast.literal_eval(sys.argv[1]))
filling = cache.Filling(iter([b"begin"]), content)
next(filling)
print("filling", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("damage", ["flip", "shorten", "extend", "replace", "unlink"])
def test_a_damaged_file_is_not_served_and_is_filled_again(
    damage: str, remote: Any, cache_dir: Path
) -> None:
    image = remote(2 * MIB)
    download(image)
    path = cached(image, cache_dir)
    status = path.stat()
    if damage == "flip":
        with path.open("r+b") as file:
            file.write(b"other")
    elif damage in ("shorten", "extend"):
        os.truncate(path, status.st_size + (1 if damage == "extend" else -1))
        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    else:
        path.unlink()
        if damage == "replace":
            path.write_bytes(bytes(status.st_size))
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))

    assert is_data_of(image, download(image))
    lose(image)
    assert is_data_of(image, download(image))


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b"\xff" * 5000])
def test_a_damaged_record_is_as_good_as_none(
    content: bytes, remote: Any, cache_dir: Path
) -> None:
    image = remote()
    download(image)
    (cache_dir / "uses" / cached(image, cache_dir).name).write_bytes(content)
    assert cache.contents() == []

    assert is_data_of(image, download(image))
    lose(image)
    assert is_data_of(image, download(image))


def test_a_folder_that_is_removed_while_it_is_used_comes_back(
    remote: Any, cache_dir: Path
) -> None:
    image = remote(3 * MIB)
    reading = lifecycle.read(image.pk, 0, image.size)
    begin = next(reading)
    shutil.rmtree(cache_dir)

    assert is_data_of(image, begin + b"".join(reading))
    assert is_data_of(image, download(image))
    assert len(cache.contents()) == 1


def test_a_folder_that_cannot_be_used_stops_no_download(
    remote: Any, cache_dir: Path, caplog: Any
) -> None:
    cache_dir.parent.write_text("a file where a folder should be")
    image = remote(2 * MIB)

    assert is_data_of(image, download(image))
    assert "cannot be used" in caplog.text


def test_a_full_disk_stops_no_download(
    remote: Any, small_disk: Path, settings: Any
) -> None:
    settings.IMAGECATALOG_CACHE_DIR = str(small_disk / "cache")
    settings.IMAGECATALOG_CACHE_MAX_SIZE = 100 * MIB
    settings.IMAGECATALOG_STORE_RESERVE = 0
    large, image = remote(9 * MIB), remote(MIB)

    assert is_data_of(large, download(large))
    assert is_data_of(image, download(image))
    assert [entry.image_id for entry in cache.contents()] == [image.pk]


def test_the_image_whose_last_use_is_longest_ago_makes_room(remote: Any) -> None:
    first, second, third = (remote(4 * MIB) for _ in range(3))
    for image in (first, second, first, third):
        download(image)

    assert {entry.image_id for entry in cache.contents()} == {first.pk, third.pk}
    assert cache.statistics().evictions == 1


def test_an_image_larger_than_the_cache_evicts_nothing(remote: Any) -> None:
    small, large = remote(), remote(10 * MIB + 1)
    download(small)

    assert is_data_of(large, download(large))
    assert [entry.image_id for entry in cache.contents()] == [small.pk]


def test_what_is_being_filled_counts_in_full(remote: Any) -> None:
    first, second = remote(6 * MIB), remote(6 * MIB)
    filling = lifecycle.read(first.pk, 0, first.size)
    next(filling)

    download(second)

    assert cache.contents() == []
    filling.close()
    download(second)
    assert len(cache.contents()) == 1


def test_an_evicted_file_is_still_sent_to_its_end(remote: Any) -> None:
    image = remote(3 * MIB)
    download(image)
    hit = lifecycle.read(image.pk)
    begin = next(hit)

    cache.clear()

    assert is_data_of(image, begin + b"".join(hit))


def test_other_data_under_a_reused_id_is_no_hit(remote: Any) -> None:
    image = remote()
    download(image)
    key, data = f"{image.pk}.other", os.urandom(100)
    stores.default().put(key, [data])
    digest = hashlib.sha512(data).hexdigest()
    Image.objects.filter(pk=image.pk).update(os_hash_value=digest)
    image.locations.update(key=key)

    assert download(image) == data


@pytest.mark.parametrize("verb", ["deactivate", "delete"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_an_image_that_may_not_be_read_is_refused_before_a_hit(
    verb: str,
    version: str,
    remote: Any,
    member: Caller,
    client_of: Callable[[Caller], Client],
) -> None:
    image = remote()
    path = f"/{version}/images/{image.pk}" + ("/file" if version == "v2" else "")
    client = client_of(member)
    assert b"".join(client.get(path).streaming_content)
    assert len(cache.contents()) == 1

    getattr(lifecycle, verb)(image.pk, member)

    expected = 403 if verb == "deactivate" else 404
    assert client.get(path).status_code == expected


def test_data_of_a_deleted_image_is_not_read_from_the_cache(
    remote: Any, member: Caller
) -> None:
    image = remote()
    download(image)

    lifecycle.delete(image.pk, member)

    with pytest.raises(errors.DataMissing):
        lifecycle.read(image.pk)


def test_a_caller_without_the_right_to_download_gets_no_hit(
    remote: Any, reader: Caller, client_of: Any
) -> None:
    image = remote()
    download(image)

    assert client_of(reader).get(f"/v2/images/{image.pk}/file").status_code == 403


def test_a_response_from_the_cache_is_that_from_the_store(
    remote: Any, member: Caller, client_of: Any
) -> None:
    image = remote()
    client, path = client_of(member), f"/v2/images/{image.pk}/file"

    first = client.get(path)
    data = b"".join(first.streaming_content)
    second = client.get(path)

    assert b"".join(second.streaming_content) == data
    for name in ("Content-Length", "Content-MD5", "Accept-Ranges", "Content-Type"):
        assert first[name] == second[name]
    assert cache.statistics().hits == 1


def test_head_fills_nothing(remote: Any, member: Caller, client_of: Any) -> None:
    image = remote()

    response = client_of(member).head(f"/v2/images/{image.pk}/file")

    assert response["Content-Length"] == str(image.size)
    assert cache.contents() == []


def test_data_in_a_folder_is_not_cached_unless_its_store_asks_for_it(
    cache_dir: Path, make_image: Any, settings: Any
) -> None:
    image = make_image("active", data=os.urandom(MIB))
    download(image)
    assert not cache_dir.exists()

    settings.IMAGECATALOG_STORES += "?cache=on"
    download(image)
    lose(image)

    assert is_data_of(image, download(image))


def test_a_store_can_stay_out_of_the_cache(remote: Any, settings: Any) -> None:
    settings.IMAGECATALOG_STORES += "&cache=off"
    image = remote()

    download(image)

    assert cache.contents() == []


@pytest.mark.parametrize("trust", ["verify", "trust"])
def test_data_at_a_url_is_cached_where_its_owner_cannot_change_it(
    trust: str, cache_dir: Path, tmp_path: Path, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_LOCATION_DATA = trust
    data = os.urandom(MIB)
    image = make_image("active", data=data)
    with serving_files(tmp_path / "web", settings, image=data) as url:
        image.locations.update(store="http", key=f"{url}/image")

        assert download(image) == data

    assert len(cache.contents()) == (trust == "verify")


def test_nobody_else_can_read_the_folder(remote: Any, cache_dir: Path) -> None:
    image = remote()
    download(image)

    assert [path for path in cache_dir.iterdir() if path.stat().st_mode & 0o077] == []
