"""API views for the read cache of the machine that answers (Image API 2.14 to 2.18)."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, cache, errors, lifecycle
from images.http import request_body, responses
from images.http.views import ApiViewSet, get_caller

CLEARED = {
    "": (cache.clear, cache.clear_queue),
    "cache": (cache.clear,),
    "queue": (cache.clear_queue,),
}


class ImageCacheViewSet(ApiViewSet):
    """``/v2/cache``: the images that this machine caches or will cache; 404 without a cache."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate the caller, then raise NotFound if this machine has no cache."""
        super().initial(request, *args, **kwargs)
        if not cache.is_on():
            raise errors.NotFound("This service has no cache.")

    def list(self, request: Request) -> HttpResponse:
        """Return the cached images, and the ids of the images that are queued to be cached."""
        _check(request, "cache_list")
        cached = [_document(entry) for entry in cache.contents()]
        return responses.json(
            {"cached_images": cached, "queued_images": cache.queued()}
        )

    def clear(self, request: Request) -> HttpResponse:
        """Remove all images from the cache, from the queue of images to be cached, or from both.

        The header ``x-image-cache-clear-target`` (``cache`` or ``queue``) chooses one of them;
        without it both are cleared.
        """
        _check(request, "cache_delete")
        target = request.headers.get("x-image-cache-clear-target", "")
        if target not in CLEARED:
            raise errors.Invalid(
                "The header x-image-cache-clear-target must be 'cache', 'queue' or absent."
            )
        for step in CLEARED[target]:
            step()
        return responses.nothing()

    def update(self, request: Request, image_id: str) -> HttpResponse:
        """Queue an image to be cached by the background worker of this machine."""
        caller = get_caller(request)
        image = access.get_image(caller, image_id, "cache_image")
        request_body.refuse(request._request)
        lifecycle.cache_later(image)
        return responses.nothing(202)

    def destroy(self, request: Request, image_id: str) -> HttpResponse:
        """Remove an image from the cache, and from the queue of images to be cached.

        The image can be a deleted one.
        """
        _check(request, "cache_delete")
        cache.remove_or_dequeue(image_id)
        return responses.nothing()

    def clean(self, request: Request) -> HttpResponse:
        """Remove damaged data from the cache, and files that a dead process has left in it."""
        _check(request, "cache_clean")
        request_body.refuse(request._request)
        cache.clean()
        return responses.nothing(200)

    def prune(self, request: Request) -> HttpResponse:
        """Evict images until the cache is no larger than its maximum size.

        Returns the number of evicted images and their bytes.
        """
        _check(request, "cache_prune")
        request_body.refuse(request._request)
        files, size = cache.prune()
        return responses.json({"total_files_pruned": files, "total_bytes_pruned": size})

    def nodes(self, request: Request, image_id: str) -> HttpResponse:
        """Answer 409, because it is unknown which machines cache an image.

        Each machine knows its own cache only.
        """
        _check(request, "list_cached_nodes")
        raise errors.Conflict(
            "Each machine knows its own cache only. Ask the machines for their lists."
        )


def _check(request: Request, action: str) -> None:
    # The cache belongs to no project.
    access.check(get_caller(request), action, {"owner": None})


def _document(entry: cache.Entry) -> dict[str, Any]:
    return {
        "image_id": entry.image_id,
        "last_accessed": entry.used_at,
        "last_modified": entry.filled_at,
        "size": entry.size,
        "hits": entry.hits,
        "checksum": entry.checksum,
    }
