"""The base of API v1's ViewSets, with the status codes that differ from API v2."""

from __future__ import annotations

from typing import ClassVar

from images import errors
from images.http.views import ApiViewSet


class V1ViewSet(ApiViewSet):
    """The base of the ViewSets of API v1, whose status codes for errors differ from API v2."""

    error_status: ClassVar = {
        errors.AlreadyBegun: 400,
        errors.ContentRefused: 400,
        errors.DataMissing: 404,
        errors.Gone: 412,
        errors.StoreReadOnly: 503,
    }
