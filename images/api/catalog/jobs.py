"""The views of jobs: the list, one job, and its cancellation."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, attributes, job_queue
from images.api import query
from images.http import public_url, responses
from images.http.views import ApiViewSet, get_caller, get_reason
from images.job_queue import listing
from images.models import Job

JOBS: Final = "/catalog/v1/jobs"
TIMES: Final = ("created_at", "started_at", "heartbeat_at", "finished_at")
SHOWN: Final = (
    "kind",
    "status",
    "attempts",
    "actor",
    "interface",
    "request_id",
    "reason",
)


class JobViewSet(ApiViewSet):
    """``/catalog/v1/jobs``: long work that background workers carry out."""

    lookup_url_kwarg = "job"
    lookup_value_regex = "[^/]+"

    def list(self, request: Request) -> HttpResponse:
        """Return a page of the jobs of the caller's project, newest first; admins see all jobs.

        They come without ``arguments`` and ``result``, which can be long.
        """
        params = request.query_params
        query.check_text(params)
        after = params.get("marker")
        page, marker = listing.jobs(
            get_caller(request),
            kind=params.get("kind"),
            status=params.get("status"),
            marker=None if after is None else _id(after),
            limit=query.page_length(params),
        )
        links = query.links(JOBS, params, marker)
        return responses.json({"jobs": [*map(_summary, page)], **links})

    def retrieve(self, request: Request, job: str) -> HttpResponse:
        """Return a job with its progress, and its result or error."""
        found = access.get_job(get_caller(request), _id(job))
        return responses.json(document(found))

    def destroy(self, request: Request, job: str) -> HttpResponse:
        """Cancel a job: a waiting one at once, a running one as soon as its worker notices."""
        job_queue.cancel(_id(job), get_caller(request), get_reason(request))
        return responses.nothing()


def accepted(request: Request, job: Job) -> HttpResponse:
    """Return the response 202 to a request for a job: the job as JSON, and its URL in Location."""
    response = responses.json(document(job), 202)
    public_url.set_location(response, request._request, f"{JOBS}/{job.pk}")
    return response


def document(job: Job) -> dict[str, Any]:
    """Return a job as a JSON object."""
    return _summary(job) | {name: getattr(job, name) for name in listing.LONG}


def _summary(job: Job) -> dict[str, Any]:
    """Return a job as a JSON object without the values that lists leave out."""
    times = {name: getattr(job, name) for name in TIMES}
    if job.started_at is None:
        times["heartbeat_at"] = None
    return {
        "id": str(job.pk),
        **{name: getattr(job, name) for name in SHOWN},
        "project": job.project or None,
        "progress": {
            "done": job.progress_done,
            "total": job.progress_total,
            "unit": job.progress_unit,
        },
        **{name: responses.second_or_none(time) for name, time in times.items()},
        "cancelling": job.is_cancelling,
        "error": {"code": job.error_code, "message": job.error}
        if job.error_code
        else None,
    }


def _id(text: str) -> UUID:
    """Return the id of a job in a path or a query. Raises NotFound for a text that is no id."""
    job_id = attributes.parse_uuid(text)
    if job_id is None:
        raise access.missing_job(text[:100])
    return job_id
