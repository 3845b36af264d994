"""What clients can ask about the service itself: its stores."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from images import access, stores
from images.http import responses
from images.http.views import ApiViewSet, get_caller
from images.stores import Store


class StoreInfoViewSet(ApiViewSet):
    """``/v2/info/stores``: the stores that can have data of images."""

    def list(self, request: Request) -> HttpResponse:
        """Return the stores, the default one first and the read-only ``http`` last."""
        return responses.json({"stores": [_document(one) for one in _all()]})

    @action(detail=False, url_path="detail")
    def details(self, request: Request) -> HttpResponse:
        """Return the stores with their types, weights and settings."""
        access.check(get_caller(request), "stores_info_detail", {"owner": None})
        return responses.json(
            {
                "stores": [
                    _document(one)
                    | {
                        "type": one.type,
                        "weight": one.weight,
                        "properties": one.properties,
                    }
                    for one in _all()
                ]
            }
        )


def _all() -> list[Store]:
    return [*stores.configured(), stores.HTTP]


def _document(store: Store) -> dict[str, Any]:
    document = {"id": store.id}
    if store.description:
        document["description"] = store.description
    # Clients compare both values with the text "true".
    if store.id == stores.default().id:
        document["default"] = "true"
    if store.read_only:
        document["read-only"] = "true"
    return document
