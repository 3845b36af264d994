"""``image_cache``: what the cache of this machine has, and what can be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from images import cache
from tests.cache.conftest import bucket, cache_dir, download, remote

__all__ = ["bucket", "cache_dir", "remote"]  # fixtures

pytestmark = pytest.mark.django_db


def test_it_sums_up_what_is_cached_and_what_was_done(remote: Any, capsys: Any) -> None:
    image = remote(2048)
    for _ in range(3):
        download(image)

    call_command("image_cache")

    assert capsys.readouterr().out.splitlines() == [
        "1 image, 2.0 KiB of 10.0 MiB; 0 queued",
        "2 hits, 4.0 KiB; 1 miss, 1 fill, 0 evictions",
    ]


def test_it_lists_queues_and_removes_images(remote: Any, capsys: Any) -> None:
    first, second = remote(), remote()
    download(first)

    call_command("image_cache", "--queue", second.pk)
    call_command("image_cache", "--list")
    queued, one, two = capsys.readouterr().out.splitlines()
    assert queued == f"{second.pk}: queued"
    assert one.startswith(f"{first.pk} 100 0 hits 2")
    assert two == f"{second.pk} queued"

    call_command("image_cache", "--remove", first.pk, second.pk)
    assert (cache.contents(), cache.queued()) == ([], [])


def test_it_names_what_cannot_be_queued_or_removed(
    remote: Any, make_image: Any, capsys: Any
) -> None:
    queued = make_image("queued")

    with pytest.raises(CommandError, match="2 images not queued"):
        call_command("image_cache", "--queue", queued.pk, "no-id")
    assert "only active images can be cached" in capsys.readouterr().err
    with pytest.raises(CommandError, match="1 image not removed"):
        call_command("image_cache", "--remove", queued.pk)


def test_it_clears_the_cache(remote: Any) -> None:
    download(remote())

    call_command("image_cache", "--clear")

    assert cache.contents() == []


def test_it_says_that_there_is_no_cache(db: None) -> None:
    with pytest.raises(CommandError, match="Set IMAGECATALOG_CACHE_DIR"):
        call_command("image_cache")


def test_it_says_that_the_folder_cannot_be_used(remote: Any, cache_dir: Path) -> None:
    cache_dir.parent.write_text("a file where a folder should be")

    with pytest.raises(CommandError, match="The cache cannot be used: Not a directory"):
        call_command("image_cache")
