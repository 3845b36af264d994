"""Tasks of the import API: requested imports and locations, with their progress and results."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from rest_framework.request import Request

from images import access, custom_properties, errors, imports
from images.access import Caller
from images.api import query
from images.api.v2.images import check_new
from images.http import public_url, request_body, responses
from images.http.views import IMAGE_UUID, ApiViewSet, get_caller
from images.imports import ImportRequest
from images.models import ImportMethod, Transfer, TransferKind, TransferStatus
from images.transfers import tasks

PATH: Final = "/v2/tasks"
# The types of tasks; only a task of the first type is created by POST /v2/tasks.
IMPORT: Final = "import"
IMAGE_IMPORT: Final = "api_image_import"
LOCATION_IMPORT: Final = "location_import"
NEEDED: Final = ("import_from", "import_from_format", "image_properties")
NOT_IN_LISTS: Final = ("input", "result", "message")
UUID: Final = re.compile(IMAGE_UUID, re.ASCII)
STATUSES: Final = {
    TransferStatus.WAITING: "pending",
    TransferStatus.RUNNING: "processing",
    TransferStatus.DONE: "success",
    TransferStatus.FAILED: "failure",
}


class ImageTaskViewSet(ApiViewSet):
    """``/v2/images/{id}/tasks``: the imports and requested locations of an image."""

    def list(self, request: Request, image_id: str) -> HttpResponse:
        """Return the newest ``MAX_LIMIT`` tasks of an image that have not expired.

        The list has no further pages, because clients do not expect them. Only administrators see
        the tasks of other projects.
        """
        caller = get_caller(request)
        access.get_image(caller, image_id)
        found = tasks.current().filter(image=image_id)
        newest = _own(found, caller).order_by("-started_at", "-pk")[: query.MAX_LIMIT]
        return responses.json({"tasks": [_of_image(task, caller) for task in newest]})


class TaskViewSet(ApiViewSet):
    """``/v2/tasks``: imports of all images, for administrators; deprecated in the Image API."""

    lookup_url_kwarg = "task_id"
    lookup_value_regex = IMAGE_UUID
    http_method_names = ["get", "post"]

    def list(self, request: Request) -> HttpResponse:
        """Return a page of the tasks that have not expired.

        Tasks in the list lack some members that a single task has.
        """
        params = request.query_params
        caller = get_caller(request)
        found = _filtered(_visible(caller), params)
        limit = query.limit(params)
        page = list(_page(found, params)[: limit + 1])
        has_more = len(page) > limit > 0
        marker = str(page[limit - 1].task_id) if has_more else None
        documents = [_document(task, caller) for task in page[:limit]]
        for document in documents:
            for name in NOT_IN_LISTS:
                del document[name]
        return responses.json(
            {
                "tasks": documents,
                "schema": "/v2/schemas/tasks",
                **query.links(PATH, params, marker),
            }
        )

    def retrieve(self, request: Request, task_id: str) -> HttpResponse:
        """Return a task as a JSON object."""
        caller = get_caller(request)
        return responses.json(_document(_find(caller, task_id), caller))

    def create(self, request: Request) -> HttpResponse:
        """Create an image and request the import of its data from a URL; return the task."""
        caller = get_caller(request)
        _check_access(caller)
        access.check_may_add(caller)
        given = _import_input(request_body.json(request._request))
        formats = {
            "disk_format": given["import_from_format"],
            "container_format": "bare",
        }
        attributes = custom_properties.parse_new_image(
            formats | given["image_properties"]
        )
        attributes[0].setdefault("owner", caller.project)
        check_new(caller, access.new_image(*attributes))
        url = given["import_from"]
        shown = given | {"import_from": imports.masked(url)}
        wanted = ImportRequest(ImportMethod.WEB_DOWNLOAD, url, document=shown)
        task = imports.import_new(attributes, wanted, caller)
        response = responses.json(_document(_find(caller, str(task.id)), caller), 201)
        public_url.set_location(response, request._request, f"{PATH}/{task.id}")
        return response


def _check_access(caller: Caller) -> None:
    access.check(caller, "tasks_api_access", {"owner": None})


def _visible(caller: Caller) -> QuerySet[Transfer]:
    """Return the unexpired tasks, rows of Transfer, that the caller can see in ``GET /v2/tasks``.

    Raises Forbidden if the caller is not allowed to use the tasks API.
    """
    _check_access(caller)
    return _own(tasks.current(), caller)


def _own(found: QuerySet[Transfer], caller: Caller) -> QuerySet[Transfer]:
    """Return those tasks in ``found`` that belong to the caller's project; all for administrators.

    Each task of the API is a row of Transfer. A caller without a project gets no rows.
    """
    if caller.is_admin:
        return found
    # None is not a project: such callers must not see each other's tasks.
    return found.filter(task_project=caller.project) if caller.project else found.none()


def _find(caller: Caller, task_id: str) -> Transfer:
    task = _visible(caller).filter(task_id=task_id).first()
    if task is None:
        raise errors.NotFound(f"No task found with ID {task_id}.")
    return task


def _filtered(found: QuerySet[Transfer], params: QueryDict) -> QuerySet[Transfer]:
    query.check_text(params)
    if "status" in params:
        by_name = {name: status for status, name in STATUSES.items()}
        if params["status"] not in by_name:
            raise errors.Invalid(f"The status must be one of: {', '.join(by_name)}.")
        found = found.filter(status=by_name[params["status"]])
    if "type" in params:
        if params["type"] != IMPORT:
            raise errors.Invalid("The type of a task in a list can only be 'import'.")
        found = found.filter(task_request__has_key=NEEDED[0])
    if "owner" in params:
        found = found.filter(task_project=params["owner"])
    return found


def _page(found: QuerySet[Transfer], params: QueryDict) -> QuerySet[Transfer]:
    name, descending = query.sort(params, tuple(tasks.SORT_COLUMNS))
    marker = params.get("marker")
    if marker is not None and not UUID.fullmatch(marker):
        raise errors.Invalid("The marker must be the id of a task.")
    return tasks.page(found, tasks.SORT_COLUMNS[name], descending, marker)


def _import_input(document: Any) -> dict[str, Any]:
    """Return the member ``input`` of a request that creates a task.

    Raises Invalid unless the request describes an import.
    """
    if not isinstance(document, dict) or document.get("type") != IMPORT:
        raise errors.Invalid("A task must have the type 'import'.")
    given = document.get("input")
    if not isinstance(given, dict):
        raise errors.Invalid("A task must have an 'input', which is an object.")
    for name in NEEDED:
        if not given.get(name) and given.get(name) != {}:
            raise errors.Invalid(f"Input does not contain '{name}' field")
    texts = given["import_from"], given["import_from_format"]
    if not all(isinstance(text, str) for text in texts):
        raise errors.Invalid("'import_from' and 'import_from_format' must be strings.")
    if not isinstance(given["image_properties"], dict):
        raise errors.Invalid("'image_properties' must be an object.")
    if texts[0].lower().startswith("file:"):
        raise errors.Invalid(
            "File based imports are not allowed. Please use a non-local source of image data."
        )
    return {name: given[name] for name in NEEDED}


def _facts(transfer: Transfer, caller: Caller) -> dict[str, Any]:
    """Return the members, all but the times, that both JSON forms of a task have in common."""
    request = dict(transfer.task_request or {})
    kind = _type(transfer)
    if kind == IMPORT:
        wanted = request["image_properties"]
        request["image_properties"] = access.readable(caller, wanted)
    given = {"import_req": request} if kind == IMAGE_IMPORT else request
    done = transfer.status == TransferStatus.DONE
    return {
        "id": str(transfer.task_id),
        "type": kind,
        "status": STATUSES[TransferStatus(transfer.status)],
        "owner": transfer.task_project,
        "image_id": transfer.image_id,
        "request_id": transfer.request_id,
        "user_id": transfer.task_user,
        "input": given if kind == IMPORT else {"image_id": transfer.image_id, **given},
        "result": {"image_id": transfer.image_id} if done else None,
        "message": transfer.error,
    }


def _type(transfer: Transfer) -> str:
    if transfer.kind == TransferKind.LOCATION:
        return LOCATION_IMPORT
    return IMPORT if NEEDED[0] in (transfer.task_request or {}) else IMAGE_IMPORT


def _document(transfer: Transfer, caller: Caller) -> dict[str, Any]:
    """Return a task as a JSON object of ``/v2/tasks``."""
    times = {
        name: responses.second_or_none(time) for name, time in _times(transfer).items()
    }
    path = f"{PATH}/{transfer.task_id}"
    links = {"self": path, "schema": "/v2/schemas/task"}
    return _facts(transfer, caller) | times | links


def _of_image(transfer: Transfer, caller: Caller) -> dict[str, Any]:
    """Return a task as a JSON object of ``/v2/images/{id}/tasks``."""
    times = {name: _raw(time) for name, time in _times(transfer).items()}
    return _facts(transfer, caller) | times | {"deleted_at": None, "deleted": False}


def _times(transfer: Transfer) -> dict[str, datetime | None]:
    return {
        "created_at": transfer.started_at,
        "updated_at": transfer.ended_at or transfer.heartbeat_at,
        "expires_at": tasks.expires_at(transfer),
    }


def _raw(moment: datetime | None) -> str | None:
    """Return a time in ISO 8601 with microseconds but no zone; None for None.

    This is the form of times in ``/v2/images/{id}/tasks``.
    """
    return responses.instant(moment).removesuffix("Z") if moment else None
