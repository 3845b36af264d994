"""Upload of staged data, which a later request imports into the image."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, imports, uploads
from images.api import transfer_shares
from images.api.v2.image_data import UnsupportedData, announced_size
from images.http import digest_fields, responses, streaming
from images.http.views import ApiView, get_caller


class ImageStageView(ApiView):
    """``/v2/images/{id}/stage``: the upload of staged data, which a later request imports."""

    http_method_names = ["put"]
    error_status: ClassVar = {UnsupportedData: 415}

    def put(self, request: Request, image_id: str) -> HttpResponse:
        """Receive and store the data of a queued image, for a later import.

        The status of the image is then ``uploading``.
        """
        http = request._request
        size, digests = announced_size(http), digest_fields.expected(http)
        caller = get_caller(request)
        access.get_image(caller, image_id, "modify_image")
        imports.check_staging()
        with transfer_shares.upload(http, caller):
            blocks = streaming.body(http)
            uploads.stage(
                image_id,
                blocks,
                caller,
                expected_size=size,
                expected_digests=digests,
            )
        return responses.nothing()
