"""The OpenAPI description of uploads, downloads, resumable uploads and stores."""

from __future__ import annotations

from images.api.v2 import uploads
from images.api.v2.image_data import ImageDataView
from images.api.v2.image_stage import ImageStageView
from images.api.v2.image_stores import ImageStoreViewSet
from images.api.v2.openapi.images import IMAGE, IMAGE_ID
from images.http.openapi import (
    BYTES,
    NUMBER,
    OCTETS,
    TEXT,
    TEXT_OR_NULL,
    UPLOAD,
    UUID,
    Document,
    answer,
    empty,
    fields,
    headers,
    many,
    operation,
    parameter,
    ref,
)

STORE = parameter("header", "x-image-meta-store", TEXT, "The store; else the default.")
DIGESTS = headers(TEXT, "Repr-Digest", "Content-Digest")
SIZE = parameter(
    "header", "x-openstack-image-size", NUMBER, "Bytes, for a chunked body."
)
CONDITIONS = headers(TEXT, "If-Match", "If-None-Match")
TUS = parameter("header", "Tus-Resumable", {"const": uploads.VERSION})
DESCRIBED = ("Content-MD5", "Repr-Digest", "Accept-Ranges")


def paths() -> Document:
    """Return the OpenAPI operations of uploads, downloads and stores: path -> method -> operation."""
    store = [parameter("path", "store_id"), IMAGE_ID]
    return {
        f"{IMAGE}/file": _file(),
        f"{IMAGE}/stage": {
            "put": operation(
                ImageStageView.put,
                {204: empty()},
                UPLOAD,
                parameters=[IMAGE_ID, SIZE, *DIGESTS],
                body=BYTES,
            )
        },
        **_resumable(),
        "/v2/stores/{store_id}/{image_id}": {
            "delete": operation(
                ImageStoreViewSet.destroy, {204: empty()}, (409,), parameters=store
            )
        },
    }


def _file() -> Document:
    prefer = parameter("query", "prefer", TEXT, "Stores, comma-separated.")
    nothing = {
        204: empty("The image has no data."),
        304: empty("The client has the data."),
    }
    data = answer({}, "The data.", *DESCRIBED, media_type=OCTETS)
    part = answer({}, "The range.", "Content-Range", *DESCRIBED, media_type=OCTETS)
    read = [IMAGE_ID, prefer, *CONDITIONS]
    ranges = headers(TEXT, "Range", "If-Range", "Content-Range")
    return {
        "get": operation(
            ImageDataView.get,
            {200: data, 206: part, **nothing},
            (412, 416),
            parameters=[*read, *ranges],
        ),
        "head": operation(
            ImageDataView.head,
            {200: empty("The data could be sent.", *DESCRIBED), **nothing},
            (412,),
            parameters=read,
        ),
        "put": operation(
            ImageDataView.put,
            {204: empty()},
            (*UPLOAD, 412),
            parameters=[IMAGE_ID, STORE, SIZE, *DIGESTS, *CONDITIONS],
            body=BYTES,
        ),
    }


def _resumable() -> Document:
    path, views, view = f"{IMAGE}/uploads", uploads.UploadsView, uploads.UploadView
    one = [IMAGE_ID, parameter("path", "upload_id", UUID)]
    progress = ("Upload-Offset", "Upload-Expires")
    new = [TUS, parameter("header", "Upload-Length", NUMBER), *DIGESTS[:1], STORE]
    chunk = [TUS, parameter("header", "Upload-Offset", NUMBER), *DIGESTS[1:]]
    return {
        path: {
            "get": operation(
                views.get, {200: answer(ref("Uploads"))}, parameters=[IMAGE_ID]
            ),
            "post": operation(
                views.post,
                {201: empty("The upload is open.", "Location", "Upload-Expires")},
                (409, 412, 413),
                parameters=[IMAGE_ID, *new, *headers(TEXT, "Upload-Metadata")],
            ),
        },
        f"{path}/{{upload_id}}": {
            "get": operation(view.get, {200: answer(ref("Upload"))}, parameters=one),
            "head": operation(
                view.head,
                {200: empty("The upload goes on here.", *progress, "Upload-Length")},
                (410, 412),
                parameters=[*one, TUS],
            ),
            "patch": operation(
                view.patch,
                {204: empty("The bytes are kept.", *progress)},
                (*UPLOAD, 412, 423, 460),
                parameters=[*one, *chunk, *headers(TEXT, "Upload-Checksum")],
                body={"content": {uploads.MEDIA_TYPE: {}}},
            ),
            "delete": operation(
                view.delete,
                {204: empty()},
                (409, 410, 412, 423),
                parameters=[*one, TUS],
            ),
        },
    }


def components() -> Document:
    """Return the OpenAPI schemas of the bodies of uploads, downloads and stores, by name."""
    upload = fields(
        **dict.fromkeys(("id", "status", "metadata", "started_at", "self"), TEXT),
        offset=NUMBER,
        length=NUMBER,
        expires_at=TEXT_OR_NULL,
        error=TEXT_OR_NULL,
    )
    return {"Upload": upload, "Uploads": fields(uploads=many(ref("Upload")))}
