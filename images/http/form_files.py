"""Files in forms, which no page takes: data is uploaded through the API."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.exceptions import BadRequest
from django.core.files.uploadhandler import FileUploadHandler


class FileRefused(BadRequest):
    """A form has a file, which its page does not take."""


class RefuseFiles(FileUploadHandler):
    """The upload handler of pages that take no files (FILE_UPLOAD_HANDLERS).

    Django would write a large file to disk before it asks who sends it.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise FileRefused."""
        raise FileRefused("This page takes no files. Send the form without them.")
