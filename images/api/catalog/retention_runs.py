"""The views of the runs of a retention policy."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from images.api import query
from images.api.catalog.jobs import accepted
from images.api.catalog.retention import RETENTION, clean_name
from images.http import responses
from images.http.views import ApiViewSet, get_caller, get_reason
from images.models import RetentionDecision, RetentionRun
from images.retention import listing, policies, undoing

_NUMBER = re.compile("[0-9]{1,18}", re.ASCII)


class RetentionRunViewSet(ApiViewSet):
    """``/catalog/v1/retention/{name}/runs``: the runs of a retention policy."""

    lookup_url_kwarg = "run"
    lookup_value_regex = "[^/]+"

    def list(self, request: Request, name: str) -> HttpResponse:
        """Return a page of the runs of a policy, newest first."""
        params = request.query_params
        query.check_text(params)
        policy = policies.get(get_caller(request), clean_name(name))
        page, marker = listing.runs(
            policy, marker=query.number_marker(params), limit=query.page_length(params)
        )
        links = query.links(f"{RETENTION}/{policy.name}/runs", params, marker)
        return responses.json({"runs": [_document(run) for run in page], **links})

    def retrieve(self, request: Request, name: str, run: str) -> HttpResponse:
        """Return a run with a page of its decisions and their results."""
        params = request.query_params
        query.check_text(params)
        found = _get(request, name, run)
        page, marker = listing.decisions(
            found, marker=query.number_marker(params), limit=query.page_length(params)
        )
        links = query.links(f"{RETENTION}/{found.name}/runs/{found.pk}", params, marker)
        shown = [_decision(row) for row in page]
        return responses.json({**_document(found), "decisions": shown, **links})

    @action(detail=True, methods=["post"])
    def undo(self, request: Request, name: str, run: str) -> HttpResponse:
        """Undo a run as a job: unhide, reactivate and restore its images that nobody has touched since."""
        found = _get(request, name, run)
        job = undoing.start(get_caller(request), found.pk, get_reason(request))
        return accepted(request, job)


def _get(request: Request, name: str, run: str) -> RetentionRun:
    policy = policies.get(get_caller(request), clean_name(name))
    if not _NUMBER.fullmatch(run):
        raise policies.missing_run(run[:64])
    found = policy.runs.select_related("job", "undo_job").filter(pk=run).first()
    if found is None:
        raise policies.missing_run(run)
    return found


def _document(run: RetentionRun) -> dict[str, Any]:
    times = ("started_at", "finished_at", "undone_at")
    return {
        "id": run.pk,
        "policy": run.name,
        "status": listing.status(run),
        "snapshot": run.snapshot,
        "actor": run.actor,
        "interface": run.interface,
        "request_id": run.request_id,
        "reason": run.reason,
        "counts": run.counts,
        "refusal": run.refusal or None,
        "job": run.job_id and str(run.job_id),
        "undo_job": run.undo_job_id and str(run.undo_job_id),
        **{name: responses.second_or_none(getattr(run, name)) for name in times},
    }


def _decision(row: RetentionDecision) -> dict[str, Any]:
    return {
        "image": row.image_id,
        "name": row.name,
        "group": row.group,
        "version": row.label or None,
        "decision": row.decision,
        "because": row.because,
        "bytes": row.size,
        "result": row.result,
        "blocked_by": row.blocked_by or None,
        "error": row.error or None,
        "changed_at": responses.second_or_none(row.changed_at),
    }
