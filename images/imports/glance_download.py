"""The import method glance-download: the data, formats and properties of another region's image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from django.conf import settings

from images import errors, lifecycle
from images.access import Caller
from images.attributes import Changes
from images.failpoints import failpoint
from images.imports import image_service, injection, regions, remotes
from images.imports.image_service import ImageService, RemoteImage
from images.imports.plugins import ApplyPlugins
from images.imports.request import ImportRequest
from images.models import Image, Status, Transfer
from images.stores import url_filter
from images.transfers import heartbeat, leases, sources
from images.transfers.targets import Targets
from images.transfers.tasks import Task

UUID = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE
)
LONGEST_REGION = 255  # characters, as in Keystone
# Visibilities that every user can read; the operator's credentials serve only such images.
FOR_ALL = ("public", "community")
TOKEN, IS_ADMIN = "token", "is_admin"  # names of secrets


def is_possible() -> bool:
    """Return whether images of other regions can be imported with the current settings.

    There must be a service catalogue of Keystone or an entry in IMAGECATALOG_REMOTES.
    """
    return settings.IMAGECATALOG_AUTH == "keystone" or bool(remotes.configured())


def check_status(status: str) -> None:
    """Raise Conflict unless the status is ``queued``: only then the image can get this data."""
    if status != Status.QUEUED:
        raise errors.Conflict(
            f"Image with status {status} cannot be target for an import from another "
            "region. It must be queued."
        )


def prepare(wanted: ImportRequest) -> ImportRequest:
    """Return the request with the URL of the image in the other region.

    Raises Invalid for a malformed or unknown region, image id or interface, and for a URL that
    is refused; StoreError if Keystone fails.
    """
    remote = wanted.remote
    if not (remote.region and remote.image_id):
        raise errors.Invalid(
            "The method 'glance-download' needs a 'glance_region' and a 'glance_image_id'."
        )
    if not UUID.fullmatch(remote.image_id):
        raise errors.Invalid("The remote image id does not look like a UUID.")
    if remote.interface not in regions.INTERFACES:
        raise errors.Invalid(
            f"The 'glance_service_interface' must be one of: {', '.join(regions.INTERFACES)}."
        )
    return replace(wanted, uri=f"{_service_url(wanted)}/v2/images/{remote.image_id}")


def _service_url(wanted: ImportRequest) -> str:
    remote = wanted.remote
    if configured := remotes.configured().get(remote.region):
        return configured.url
    if settings.IMAGECATALOG_AUTH != "keystone" or len(remote.region) > LONGEST_REGION:
        raise errors.Invalid(f"There is no region '{remote.region[:64]}'.")
    url = regions.endpoint(remote.region, remote.interface, remote.token)
    url_filter.check(url)
    return url


def queue(
    image: Image, wanted: ImportRequest, targets: Targets, actor: Caller, task: Task
) -> bool:
    """Queue the import of another region's image for a locked image; return True.

    The caller's token is stored only if no other credentials are configured for the region.
    Raises Conflict if the image is pinned to data of another size, OverLimit for a full quota,
    StoreReadOnly.
    """
    configured = remotes.configured().get(wanted.remote.region)
    secrets = {TOKEN: wanted.remote.token}
    if configured and configured.credentials:
        secrets = {IS_ADMIN: "yes"} if actor.is_admin else {}
    source = lifecycle.Source(
        wanted.uri, status_on_failure=Status.QUEUED, secrets=secrets
    )
    lifecycle.queue_fetch(image, source, actor, task, targets)
    return True


def bring_in(
    image: Image,
    transfer: Transfer,
    apply_plugins: ApplyPlugins,
    actor: Caller,
) -> None:
    """Copy the image of another region: its data, its formats and some of its properties.

    The formats and properties are saved only when the image becomes active. ``apply_plugins``
    returns the blocks as changed by the plugins; reading them raises ServerStopping when the worker is
    stopping. Raises the errors of ``lifecycle.receive`` and of ``image_service.describe``.
    """
    failpoint("glance_download.claimed")
    try:
        service = _service(transfer)
        remote = _describe(service, transfer)
        changes = lifecycle.clean_changes(_changes(image, remote))
        lifecycle.check_size_cap(remote.size)
        lifecycle.check_pinned_size(image, remote.size)
        heartbeat.send(transfer)
        failpoint("glance_download.described")
    except BaseException as error:
        leases.fail(transfer, error, actor)
        raise
    for name, value in remote.formats.items():
        setattr(image, name, value)
    transfer.bytes_expected = remote.size
    transfer.expected_digests = dict(remote.digests)
    blocks, source = apply_plugins(_blocks(service, transfer, remote))
    lifecycle.receive(image, transfer, blocks, actor, changes=changes, source=source)


def _service(transfer: Transfer) -> ImageService:
    """Return the image service that has the image to be imported, with credentials for it.

    Raises StoreError if the credentials cannot be used or are not configured any more.
    """
    secrets = sources.secrets(transfer)
    region = _region(transfer)
    remote = remotes.configured().get(region)
    # Checked first: a request with a token must not use the operator's credentials.
    if TOKEN in secrets:
        url = transfer.source.partition("/v2/images/")[0]
        is_operators = remote is not None and remote.url == url
        return ImageService(url, {"X-Auth-Token": secrets[TOKEN]}, is_operators)
    if remote and remote.credentials:
        headers = remotes.headers(region, remote.credentials)
        return ImageService(remote.url, headers, is_operators=True)
    raise errors.StoreError(
        f"The region {region} is not configured any more. Tell the operator."
    )


def _region(transfer: Transfer) -> str:
    request = transfer.task_request or {}
    region: str = request["method"]["glance_region"]
    return region


def _image_id(transfer: Transfer) -> str:
    return transfer.source.rpartition("/")[2]


def _describe(service: ImageService, transfer: Transfer) -> RemoteImage:
    remote = image_service.describe(service, _image_id(transfer))
    secrets = sources.secrets(transfer)
    is_readable = remote.visibility in FOR_ALL or TOKEN in secrets
    if not (is_readable or IS_ADMIN in secrets):
        raise image_service.missing()
    return remote


def _changes(image: Image, remote: RemoteImage) -> Changes:
    """Return the formats and properties of another region's image as changes of a local image.

    Properties that the operator's configuration has set on the local image stay as they are.
    """
    injected = injection.properties()
    properties = {
        name: value
        for name, value in remote.properties.items()
        if name not in injected or image.properties.get(name) != injected[name]
    }
    return Changes(fields=dict(remote.formats), properties=properties)


def _blocks(
    service: ImageService, transfer: Transfer, remote: RemoteImage
) -> Iterator[bytes]:
    if remote.size:
        for block in image_service.read(service, _image_id(transfer)):
            yield block
            failpoint("glance_download.streaming")
    failpoint("glance_download.received")
