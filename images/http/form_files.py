"""Refusal of files in forms: no page accepts files, because data is uploaded by the API."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.exceptions import BadRequest
from django.core.files.uploadhandler import FileUploadHandler


class FileRefused(BadRequest):
    """The error for a form that contains a file, which no page accepts."""


class RefuseFiles(FileUploadHandler):
    """An upload handler of Django that refuses every file in a form (FILE_UPLOAD_HANDLERS).

    Django would write a large file to disk before it checks who sends it.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise FileRefused when a form begins to send a file."""
        raise FileRefused("This page takes no files. Send the form without them.")
