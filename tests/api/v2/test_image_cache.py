"""The cache API: what it shows, what it changes, and whom it refuses."""

from __future__ import annotations

import time
from typing import Any

import pytest

from images import cache
from tests.cache.conftest import bucket, cache_dir, download, remote

__all__ = ["bucket", "cache_dir", "remote"]  # fixtures

REQUESTS = [
    ("GET", "/v2/cache"),
    ("DELETE", "/v2/cache"),
    ("PUT", "/v2/cache/{id}"),
    ("DELETE", "/v2/cache/{id}"),
    ("POST", "/v2/cache/clean"),
    ("POST", "/v2/cache/prune"),
    ("GET", "/v2/cache/nodes/{id}"),
]


def test_the_list_shows_what_is_cached_and_what_is_queued(
    remote: Any, api: Any
) -> None:
    image, waiting = remote(), remote()
    began = time.time() - 1
    for _ in range(3):
        download(image)
    assert api.admin.put(f"/v2/cache/{waiting.pk}").status_code == 202

    listed = api.admin.get("/v2/cache").json()

    (shown,) = listed["cached_images"]
    assert listed["queued_images"] == [waiting.pk]
    assert began < shown.pop("last_modified") <= shown.pop("last_accessed")
    assert shown == {
        "image_id": image.pk,
        "size": 100,
        "hits": 2,
        "checksum": image.checksum,
    }


def test_one_image_is_removed_from_the_cache_or_the_queue(
    remote: Any, api: Any
) -> None:
    image, waiting = remote(), remote()
    download(image)
    api.admin.put(f"/v2/cache/{waiting.pk}")

    for one in (image, waiting):
        assert api.admin.delete(f"/v2/cache/{one.pk}").status_code == 204
        assert api.admin.delete(f"/v2/cache/{one.pk}").status_code == 404
    assert (cache.contents(), cache.queued()) == ([], [])


@pytest.mark.parametrize(
    ("target", "left"),
    [(None, (0, 0)), ("", (0, 0)), ("cache", (0, 1)), ("queue", (1, 0))],
)
def test_cache_and_queue_are_cleared_together_or_alone(
    target: str | None, left: tuple[int, int], remote: Any, api: Any
) -> None:
    image, waiting = remote(), remote()
    download(image)
    api.admin.put(f"/v2/cache/{waiting.pk}")
    headers = {} if target is None else {"x-image-cache-clear-target": target}

    response = api.admin.delete("/v2/cache", headers=headers)

    assert response.status_code == 204
    assert (len(cache.contents()), len(cache.queued())) == left


def test_another_target_clears_nothing(remote: Any, api: Any) -> None:
    download(remote())
    headers = {"x-image-cache-clear-target": "everything"}

    assert api.admin.delete("/v2/cache", headers=headers).status_code == 400
    assert len(cache.contents()) == 1


def test_only_active_images_that_exist_are_queued(
    cache_dir: Any, api: Any, make_image: Any
) -> None:
    statuses = ("queued", "deactivated", "deleted", "pending_delete")
    codes = [
        api.admin.put(f"/v2/cache/{make_image(status).pk}").status_code
        for status in statuses
    ]
    missing = api.admin.put("/v2/cache/7ce874a7-fa13-465c-93d6-0bea573df725")

    assert codes == [400, 400, 404, 404]
    assert missing.status_code == 404
    assert api.admin.put("/v2/cache/x").status_code == 404
    assert cache.queued() == []


def test_cleaning_removes_what_a_dead_process_left(
    remote: Any, cache_dir: Any, api: Any
) -> None:
    image = remote()
    download(image)
    (cache_dir / "parts" / "of-a-dead-process").write_bytes(b"half")

    response = api.admin.generic("POST", "/v2/cache/clean")

    assert (response.status_code, response.content) == (200, b"")
    assert cache.image_ids() == {image.pk}
    assert not list(cache_dir.glob("parts/*"))


def test_pruning_says_what_it_evicted(remote: Any, api: Any, settings: Any) -> None:
    first, second = remote(1000), remote(2000)
    for image in (first, second):
        download(image)
    settings.IMAGECATALOG_CACHE_MAX_SIZE = 2500

    response = api.admin.generic("POST", "/v2/cache/prune")

    assert response.json() == {"total_files_pruned": 1, "total_bytes_pruned": 1000}
    assert cache.image_ids() == {second.pk}


def test_no_machine_knows_the_others(remote: Any, api: Any) -> None:
    assert api.admin.get(f"/v2/cache/nodes/{remote().pk}").status_code == 409


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_only_admins_reach_the_cache(
    method: str, path: str, cache_dir: Any, api: Any, client: Any, make_image: Any
) -> None:
    path = path.format(id=make_image("active", visibility="public").pk)

    assert api.member.generic(method, path).status_code == 403
    assert api.reader.generic(method, path).status_code == 403
    assert client.generic(method, path).status_code == 401


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_without_a_cache_nothing_is_there(
    method: str, path: str, api: Any, make_image: Any
) -> None:
    path = path.format(id=make_image("active").pk)

    assert api.admin.generic(method, path).status_code == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v2/cache", "GET, DELETE"),
        ("/v2/cache/7ce874a7-fa13-465c-93d6-0bea573df725", "PUT, DELETE"),
        ("/v2/cache/clean", "POST"),
        ("/v2/cache/prune", "POST"),
    ],
)
def test_another_method_is_not_allowed(
    path: str, allowed: str, cache_dir: Any, api: Any
) -> None:
    response = api.admin.patch(path)

    assert response.status_code == 405
    assert set(response["Allow"].split(", ")) == set(allowed.split(", "))


def test_a_folder_that_cannot_be_used_is_503(
    cache_dir: Any, api: Any, make_image: Any
) -> None:
    cache_dir.parent.write_text("a file where a folder should be")
    image = make_image("active")

    for method, path in REQUESTS[:-1]:
        response = api.admin.generic(method, path.format(id=image.pk))
        assert response.status_code == 503, (method, path)


def test_a_machine_with_a_cache_announces_more_versions(
    cache_dir: Any, client: Any
) -> None:
    versions = client.get("/versions").json()["versions"]

    assert {"v2.14", "v2.16", "v2.18"} < {one["id"] for one in versions}
