"""The views of retention policies, their previews and their runs."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from images import attributes, documents
from images.api import query
from images.api.catalog.jobs import accepted
from images.http import preconditions, public_url, request_body, responses
from images.http.views import ApiViewSet, get_caller, get_reason
from images.models import RetentionPolicy
from images.retention import policies, runs, values
from images.retention.decisions import DECISIONS, Decision
from images.retention.preview import preview

RETENTION = "/catalog/v1/retention"


class RetentionPolicyViewSet(ApiViewSet):
    """``/catalog/v1/retention``: retention policies, by their names."""

    lookup_url_kwarg = "name"
    lookup_value_regex = "[^/]+"

    def list(self, request: Request) -> HttpResponse:
        """Return a page of the retention policies, by name."""
        params = request.query_params
        query.check_text(params)
        page, marker = policies.page(
            get_caller(request),
            marker=params.get("marker"),
            limit=query.page_length(params),
        )
        links = query.links(RETENTION, params, marker)
        shown = [document(policy) for policy in page]
        return responses.json({"policies": shown, **links})

    def create(self, request: Request) -> HttpResponse:
        """Create a retention policy: which images are kept, and what happens to the others."""
        body = request_body.json(request._request)
        policy = policies.create(get_caller(request), body)
        response = _response(policy, 201)
        public_url.set_location(
            response, request._request, f"{RETENTION}/{policy.name}"
        )
        return response

    def retrieve(self, request: Request, name: str) -> HttpResponse:
        """Return a retention policy."""
        return _response(policies.get(get_caller(request), clean_name(name)))

    def partial_update(self, request: Request, name: str) -> HttpResponse:
        """Change a retention policy by a JSON merge patch."""
        body = request_body.json(request._request)
        expected = preconditions.versions(request._request)
        caller = get_caller(request)
        policy = policies.update(caller, clean_name(name), body, expected=expected)
        return _response(policy)

    def destroy(self, request: Request, name: str) -> HttpResponse:
        """Delete a retention policy; its runs stay."""
        expected = preconditions.versions(request._request)
        policies.delete(get_caller(request), clean_name(name), expected=expected)
        return responses.nothing()

    @action(detail=True, methods=["post"])
    def preview(self, request: Request, name: str) -> HttpResponse:
        """Return what a run of the policy would do now, with a token to start it; change nothing."""
        request_body.raw(request._request)  # the URL says everything
        params = request.query_params
        query.check_text(params)
        only = params.get("decision")
        if only is not None:
            documents.clean_choice("decision", DECISIONS, only)
        policy = policies.get(get_caller(request), clean_name(name))
        found = preview(
            policy,
            limit=query.page_length(params),
            marker=params.get("marker"),
            only=(only,) if only else DECISIONS,
        )
        path = f"{RETENTION}/{policy.name}/preview"
        return responses.json(
            {
                "preview": found.token,
                "images": found.total,
                "act": len(found.acts),
                "bytes": found.size,
                "counts": {it: found.counts[it] for it in DECISIONS},
                "decisions": [_decision(it) for it in found.page],
                **query.links(path, params, found.marker),
            }
        )

    @action(detail=True, methods=["post"])
    def run(self, request: Request, name: str) -> HttpResponse:
        """Start a job that runs the policy, by the token of a preview or with ``force``."""
        sent = request_body.optional_json(request._request)
        body = documents.members(sent, "preview", "force")
        token = body.get("preview")
        if token is not None:
            attributes.clean_text(token, "preview")
        run = runs.start(
            get_caller(request),
            clean_name(name),
            get_reason(request),
            token=token,
            force=documents.clean_flag("force", body.get("force", False)),
        )
        assert run.job is not None
        return accepted(request, run.job)


def document(policy: RetentionPolicy) -> dict[str, Any]:
    """Return a retention policy as a JSON object."""
    return values.document(policy) | {
        "version": policy.version,
        "next_run_at": responses.second_or_none(policy.next_run_at),
        "created_at": responses.second(policy.created_at),
        "updated_at": responses.second(policy.updated_at),
    }


def clean_name(name: str) -> str:
    """Return the name of a policy in a path. Raises Invalid for text that cannot be one."""
    return attributes.clean_text(name, "name of a retention policy")


def _response(policy: RetentionPolicy, status: int = 200) -> HttpResponse:
    return responses.versioned(document(policy), policy.version, status)


def _decision(decision: Decision) -> dict[str, Any]:
    fact = decision.fact
    return {
        "image": fact.image,
        "name": fact.name,
        "group": fact.group,
        "version": fact.label or None,
        "built_at": responses.second(fact.built),
        "bytes": fact.size,
        "decision": decision.decision,
        "because": decision.because,
        "blocked_by": decision.blocked_by or None,
        "sentence": decision.sentence,
    }
