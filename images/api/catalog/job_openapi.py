"""The OpenAPI description of jobs."""

from __future__ import annotations

from images.api.catalog.jobs import JOBS, SHOWN, TIMES, JobViewSet
from images.http.openapi import (
    FLAG,
    NUMBER,
    NUMBER_OR_NULL,
    PAGING,
    REASON,
    TEXT,
    TEXT_OR_NULL,
    UUID,
    Document,
    answer,
    empty,
    fields,
    operation,
    page_of,
    parameter,
    queries,
    ref,
)
from images.models import JobStatus

JOB = parameter("path", "job", UUID, "The id of a job.")
STATUS = TEXT | {"enum": list(JobStatus.values)}
OBJECT_OR_NULL: Document = {"type": ["object", "null"]}


def paths() -> Document:
    """Return the OpenAPI operations of jobs: path -> method -> operation."""
    filters = [*queries(TEXT, "kind"), *queries(STATUS, "status")]
    listed = page_of("jobs", ref("Job"))
    return {
        JOBS: {
            "get": operation(
                JobViewSet.list, {200: answer(listed)}, parameters=[*filters, *PAGING]
            )
        },
        f"{JOBS}/{{job}}": {
            "get": operation(
                JobViewSet.retrieve, {200: answer(ref("Job"))}, parameters=[JOB]
            ),
            "delete": operation(
                JobViewSet.destroy,
                {204: empty("The job is cancelled, or will be.")},
                (409,),
                parameters=[JOB, REASON],
            ),
        },
    }


def components() -> Document:
    """Return the OpenAPI schemas of jobs, by name."""
    error = fields(code=TEXT, message=TEXT) | OBJECT_OR_NULL
    job = fields(
        "id",
        "kind",
        "status",
        "progress",
        id=UUID,
        **dict.fromkeys(SHOWN, TEXT)
        | {"status": STATUS, "attempts": NUMBER, "project": TEXT_OR_NULL},
        progress=fields(done=NUMBER, total=NUMBER_OR_NULL, unit=TEXT),
        **dict.fromkeys(TIMES, TEXT_OR_NULL),
        cancelling=FLAG,
        error=error,
        arguments={"type": "object"},
        result=OBJECT_OR_NULL,
    )
    return {"Job": job}
