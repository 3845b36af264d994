"""API view for the copy of an image's data in one store."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, errors, lifecycle, stores
from images.http import responses
from images.http.views import IMAGE_UUID, ApiViewSet, get_caller


class ImageStoreViewSet(ApiViewSet):
    """``/v2/stores/{store_id}/{image_id}``: the copy of an image's data in one of several stores."""

    lookup_url_kwarg = "image_id"
    lookup_value_regex = IMAGE_UUID

    def destroy(self, request: Request, store_id: str, image_id: str) -> HttpResponse:
        """Remove an image's data from one store; it must also be in another store."""
        caller = get_caller(request)
        _check_configured(store_id)
        image = access.get_image(caller, image_id, "get_image_location")
        access.check(caller, "delete_image_location", image)
        lifecycle.remove_from_store(image_id, store_id, caller)
        return responses.nothing()


def _check_configured(store_id: str) -> None:
    try:
        stores.get(store_id)
    except errors.Invalid:
        raise errors.Conflict(
            f"The selected store {store_id} is not available on this node."
        ) from None
