"""API views about the service itself: stores, import methods, and the use of limits."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from images import access, imports, stores
from images.http import responses
from images.http.views import ApiViewSet, get_caller
from images.stores import Store
from images.transfers import limits, usage


class StoreInfoViewSet(ApiViewSet):
    """``/v2/info/stores``: the stores that can have data of images."""

    def list(self, request: Request) -> HttpResponse:
        """Return the stores: the default store first, and last the read-only store ``http``."""
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


class ImportInfoViewSet(ApiViewSet):
    """``/v2/info/import``: the methods by which data can be imported."""

    def list(self, request: Request) -> HttpResponse:
        """Return the names of the import methods, as the member ``value`` of a JSON schema."""
        return responses.json(
            {
                "import-methods": {
                    "description": "Import methods available.",
                    "type": "array",
                    "value": imports.names(),
                }
            }
        )


class UsageViewSet(ApiViewSet):
    """``/v2/info/usage``: how much the caller's project uses of each of its limits."""

    def list(self, request: Request) -> HttpResponse:
        """Return each limit of the caller's project by name, and how much the project uses of it.

        Sizes are in MiB. The object is empty if no limit is set.
        """
        project = get_caller(request).project
        is_limited = any(limit is not None for limit in limits.of(project).values())
        used = usage.in_units(project) if project and is_limited else {}
        return responses.json(
            {
                "usage": {
                    name: {"usage": use.used, "limit": use.limit}
                    for name, use in used.items()
                }
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
