"""API view for imports of an image's data, which a background worker carries out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, errors, imports
from images.attributes import MAX_SIZE
from images.expected_digests import ALGORITHMS, HEX_DIGITS, is_digest
from images.http import request_body, responses
from images.http.views import ApiViewSet, get_caller
from images.imports import ChecksumFile, ImportRequest, RemoteReference
from images.models import ImportMethod

# Keys of the method glance-download -> defaults.
REMOTE = {
    "glance_region": "",
    "glance_image_id": "",
    "glance_service_interface": "public",
}
FLAGS = ("all_stores", "all_stores_must_succeed")
EXPECTED, EXPECTED_AFTER = "expected", "expected_after"
CHECKSUM_URL, CHECKSUM_NAME = "checksum_url", "checksum_name"
COMPARED = (ImportMethod.WEB_DOWNLOAD, ImportMethod.GLANCE_DIRECT)


class ImageImportViewSet(ApiViewSet):
    """``/v2/images/{id}/import``: requests to import data into an image."""

    def create(self, request: Request, image_id: str) -> HttpResponse:
        """Request an import by a method of ``/v2/info/import``, for a background worker to carry out."""
        caller = get_caller(request)
        image = access.get_image(caller, image_id, "modify_image")
        document = request_body.json(request._request)
        wanted = _wanted(document, request.headers.get("x-image-meta-store", ""))
        if wanted.method == ImportMethod.GLANCE_DOWNLOAD:
            wanted = _from_region(wanted, document["method"], request)
        imports.check_image(wanted.method, image, caller)
        imports.request_import(image_id, wanted, caller)
        return responses.nothing(202)


def _wanted(document: Any, store: str) -> ImportRequest:
    """Return the import request that a JSON body describes.

    ``store`` is the store id in the header X-Image-Meta-Store, or empty. Raises Invalid for a
    malformed body.
    """
    method = _method(document)
    for flag in FLAGS:
        if not isinstance(document.get(flag) or False, bool):
            raise errors.Invalid(f"'{flag}' must be a boolean value.")
    store_ids = _store_ids(document, store)
    uri = method.get("uri") or ""
    if not isinstance(uri, str):
        raise errors.Invalid("The 'uri' of a method must be a string.")
    shown = imports.document(method["name"], uri, store_ids)
    named = {name: document[name] for name in (*FLAGS, EXPECTED) if name in document}
    size, digests = _expected(document, EXPECTED, method["name"])
    size_after, after = _expected(document, EXPECTED_AFTER, method["name"])
    return ImportRequest(
        method["name"],
        uri,
        size=size,
        digests=digests,
        checksum_file=_checksum_file(document, method["name"], uri),
        expected_after=after if size_after is None else {**after, "size": size_after},
        store_ids=store_ids,
        all_stores=bool(document.get("all_stores")),
        all_must_succeed=document.get("all_stores_must_succeed") is not False,
        document=shown | named,
    )


def _expected(
    document: dict[str, Any], member: str, method: str
) -> tuple[int | None, dict[str, str]]:
    """Return the size in bytes and the digests (algorithm -> hexadecimal) that a JSON body expects.

    They are in the body's ``member``; without it, None and no digests are returned. Raises Invalid
    if they are malformed, or if the import ``method`` copies data whose digests are known already.
    """
    expected = document.get(member)
    if expected is None:
        return None, {}
    _check_compared(member, method)
    if not isinstance(expected, dict) or not expected.keys() <= {"size", *ALGORITHMS}:
        raise errors.Invalid(
            f"'{member}' must be an object with the members size, {', '.join(ALGORITHMS)}."
        )
    digests = {name: expected[name] for name in ALGORITHMS if name in expected}
    for name, value in digests.items():
        if not isinstance(value, str) or not is_digest(name, value):
            raise errors.Invalid(
                f"The {name} in '{member}' must have {HEX_DIGITS[name]} hexadecimal digits."
            )
    size = expected.get("size")
    if size is not None and not _is_size(size):
        raise errors.Invalid(
            f"The size in '{member}' must be a number of bytes, between 0 and {MAX_SIZE}."
        )
    return size, {name: value.lower() for name, value in digests.items()}


def _is_size(value: Any) -> bool:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number and 0 <= value <= MAX_SIZE


def _checksum_file(
    document: dict[str, Any], method: str, uri: str
) -> ChecksumFile | None:
    """Return the checksum file that a JSON body names, and the name of the data in that file.

    Returns None if the body names no checksum file. If the body gives no name for the data, it is
    the last part of the data's URL ``uri``. Raises Invalid for values that are not strings, for a
    name without a checksum file, and for an import method that copies data whose digests are known
    already.
    """
    url, name = document.get(CHECKSUM_URL) or "", document.get(CHECKSUM_NAME) or ""
    if not isinstance(url, str) or not isinstance(name, str):
        raise errors.Invalid(f"'{CHECKSUM_URL}' and '{CHECKSUM_NAME}' must be strings.")
    if name and not url:
        raise errors.Invalid(f"'{CHECKSUM_NAME}' needs a '{CHECKSUM_URL}'.")
    if not url:
        return None
    _check_compared(CHECKSUM_URL, method)
    return ChecksumFile(url, name or imports.name_in(uri))


def _check_compared(member: str, method: str) -> None:
    """Raise Invalid unless the import ``method`` supports this member of the JSON body.

    The member has digests that the data must have. Methods that copy data whose digests are known
    already do not support it.
    """
    if method not in COMPARED:
        raise errors.Invalid(
            f"'{member}' can be given only with: {', '.join(COMPARED)}."
        )


def _from_region(
    wanted: ImportRequest, method: dict[str, Any], request: Request
) -> ImportRequest:
    """Add to an import request the image of another region from which the data comes; return the result.

    ``method``, from the JSON body, names the region and the image. The caller's token is added,
    too. Raises Invalid for values that are not strings.
    """
    given = {name: method.get(name) or default for name, default in REMOTE.items()}
    if not all(isinstance(value, str) for value in given.values()):
        raise errors.Invalid(f"Of a method, {', '.join(REMOTE)} must be strings.")
    region, image_id, interface = given.values()
    token = request.headers.get("X-Auth-Token", "")
    remote = RemoteReference(region, image_id, interface, token)
    shown = {**wanted.document, "method": {"name": wanted.method, **given}}
    return replace(wanted, remote=remote, document=shown)


def _method(document: Any) -> dict[str, Any]:
    method = document.get("method") if isinstance(document, dict) else None
    if not isinstance(method, dict):
        raise errors.Invalid("Import request requires a 'method' field.")
    if not isinstance(method.get("name"), str):
        raise errors.Invalid("Import request requires a 'name' field.")
    return method


def _store_ids(document: dict[str, Any], store: str) -> tuple[str, ...]:
    """Return the ids of the stores into which to import, each once.

    They are in the JSON body, or there is one in the header (``store``). Empty if neither names a
    store. Raises Invalid if the ids are malformed, or stores are chosen in more than one way.
    """
    store_ids = document.get("stores") or []
    is_list = isinstance(store_ids, list)
    if not is_list or not all(isinstance(one, str) for one in store_ids):
        raise errors.Invalid("'stores' must be a list of store ids.")
    if bool(document.get("all_stores")) + bool(store_ids) + bool(store) > 1:
        raise errors.Invalid(
            "Name the stores in 'stores' or in X-Image-Meta-Store, or set 'all_stores': only "
            "one of them."
        )
    return tuple(dict.fromkeys(store_ids or filter(None, [store])))
