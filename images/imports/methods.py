"""The registry of import methods, each of which is a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from django.conf import settings

from images import errors
from images.access import Caller
from images.imports import copy_image, glance_direct, glance_download, web_download
from images.imports.plugins import ApplyPlugins
from images.imports.request import ImportRequest
from images.models import Image, ImportMethod, Transfer
from images.transfers.targets import Targets
from images.transfers.tasks import Task


class Method(Protocol):
    """The interface that the module of each import method implements."""

    def check_status(self, status: str) -> None:
        """Raise Conflict unless an image with this status can be the target of an import."""

    def prepare(self, wanted: ImportRequest) -> ImportRequest:
        """Check a request before the image's row is locked; return it with the facts that were found.

        For example, check the URL of the data, and add the size that the web server reports.
        """

    def queue(
        self,
        image: Image,
        wanted: ImportRequest,
        targets: Targets,
        actor: Caller,
        task: Task,
    ) -> bool:
        """Create the transfer of an import for a locked image; a background worker carries it out.

        Returns True if there is a transfer, False if nothing is to be done.
        """

    def bring_in(
        self,
        image: Image,
        transfer: Transfer,
        apply_plugins: ApplyPlugins,
        actor: Caller,
    ) -> None:
        """Store the data of a transfer that a background worker has claimed, and finish the transfer.

        ``apply_plugins`` returns the blocks as plugins change them; reading them raises
        ServerStopping when the worker is stopping.
        """


METHODS: Mapping[str, Method] = {
    ImportMethod.GLANCE_DIRECT: glance_direct,
    ImportMethod.WEB_DOWNLOAD: web_download,
    ImportMethod.COPY_IMAGE: copy_image,
    ImportMethod.GLANCE_DOWNLOAD: glance_download,
}


def names() -> list[str]:
    """Return the names of the import methods that this service can use and has not switched off."""
    chosen = list(settings.IMAGECATALOG_IMPORT_METHODS)
    if ImportMethod.GLANCE_DOWNLOAD in chosen and not glance_download.is_possible():
        chosen.remove(ImportMethod.GLANCE_DOWNLOAD)
    return chosen


def get(name: str) -> Method:
    """Return the import method with this name. Raises Invalid if it is unknown or switched off."""
    if name not in names():
        raise errors.Invalid(f"Unknown import method name '{name[:64]}'.")
    return METHODS[name]


def of(transfer: Transfer) -> Method:
    """Return the import method that carries out a transfer.

    Transfers that were not requested by the name of a method (web downloads of API v1, and new
    locations) are carried out by ``web_download``.
    """
    return METHODS[transfer.import_method or ImportMethod.WEB_DOWNLOAD]


def check_staging() -> None:
    """Raise NotFound if the import method glance-direct, which imports staged data, is switched off."""
    if ImportMethod.GLANCE_DIRECT not in names():
        raise errors.NotFound("'glance-direct' method is not available at this site.")
