"""The base class of the ViewSets of API v1."""

from __future__ import annotations

from typing import ClassVar

from images import errors
from images.http.views import ApiViewSet


class V1ViewSet(ApiViewSet):
    """The base class of the ViewSets of API v1. For some errors, its status codes differ from API v2."""

    error_status: ClassVar = {
        errors.AlreadyBegun: 400,
        errors.ContentRefused: 400,
        errors.DataMissing: 404,
        errors.Gone: 412,
        errors.StoreReadOnly: 503,
    }
