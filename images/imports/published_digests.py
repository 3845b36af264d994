"""The digests that a checksum file on a web server states for the data of an import.

The task of the import shows the URL of the file without its query, which can be secret; the
complete URL is stored encrypted, with the secrets of the transfer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from images import errors, expected_digests, lifecycle
from images.access import Caller
from images.imports import checksum_file
from images.imports.request import ChecksumFile, ImportRequest
from images.models import Transfer
from images.stores import http
from images.transfers import heartbeat, leases, sources

URL: Final = "checksum_url"  # a key of the task's request, and of the secrets
NAME: Final = "checksum_name"


def check(wanted: ImportRequest) -> None:
    """Raise Invalid if the URL of a request's checksum file, or the data's name in it, is not allowed."""
    if file := wanted.checksum_file:
        lifecycle.check_url(file.url, URL)
        checksum_file.check_name(file.name)


def shown(wanted: ImportRequest) -> dict[str, Any]:
    """Return the members of a task that show the request's checksum file, without secrets.

    Empty if the request has no checksum file.
    """
    if not (file := wanted.checksum_file):
        return {}
    return {URL: sources.masked(file.url), NAME: file.name}


def secrets(wanted: ImportRequest) -> dict[str, str]:
    """Return the complete URL of a request's checksum file in a dict of secrets (name -> value).

    A transfer stores secrets encrypted. Empty if the request has no checksum file.
    """
    return {URL: wanted.checksum_file.url} if wanted.checksum_file else {}


def file_of(transfer: Transfer) -> ChecksumFile | None:
    """Return the checksum file that a client has named for a transfer; None if it has named none.

    The URL is without its query once the transfer has ended. Raises Conflict if the URL was
    encrypted with another key.
    """
    request = transfer.task_request or {}
    if URL not in request:
        return None
    url = sources.secrets(transfer).get(URL, request[URL])
    return ChecksumFile(url, request[NAME])


def expect(transfer: Transfer, actor: Caller) -> None:
    """Read the checksum file of a running transfer, and make the transfer expect its digests.

    Does nothing without a checksum file. After an error the transfer has failed. Raises Invalid
    if the file states no digest of the data, or another digest than the client, StoreError and
    DataMissing if the file cannot be read.
    """
    try:
        if file := file_of(transfer):
            transfer.expected_digests |= _stated(file, transfer.expected_digests)
            heartbeat.send(transfer)
    except BaseException as error:
        leases.fail(transfer, error, actor)
        raise


def _stated(file: ChecksumFile, expected: Mapping[str, str]) -> dict[str, str]:
    stated = checksum_file.digests_of(_content(file.url), file.name)
    for algorithm, digest in stated.items():
        if expected.get(algorithm, digest) != digest:
            raise expected_digests.DigestMismatch(
                f"Digest mismatch: the checksum file states {digest} as the {algorithm} of "
                f"the data, but the request expects {expected[algorithm]}"
            )
    return stated


def _content(url: str) -> bytes:
    try:
        return http.document(url, checksum_file.MOST)
    except errors.ImageError as error:
        raise type(error)(f"The checksum file cannot be read. {error}") from error
