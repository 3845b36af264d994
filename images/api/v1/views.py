"""What the views of API v1 share."""

from __future__ import annotations

from typing import ClassVar

from images import errors
from images.http.views import ApiView


class V1View(ApiView):
    error_status: ClassVar = {
        errors.AlreadyBegun: 400,
        errors.ContentRefused: 400,
        errors.DataMissing: 404,
        errors.Gone: 412,
        errors.StoreReadOnly: 503,
    }
