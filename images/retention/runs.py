"""Start runs of policies: store what a run decides, and request the job that does it."""

from __future__ import annotations

from typing import Final

from images import errors, job_queue
from images.access import Caller
from images.models import RetentionDecision, RetentionPolicy, RetentionRun
from images.retention import policies
from images.retention.decisions import Decision
from images.retention.preview import Preview, preview

RUN: Final = "retention"  # kind of jobs


def start(
    caller: Caller,
    name: str,
    reason: str = "",
    *,
    token: str | None = None,
    force: bool = False,
) -> RetentionRun:
    """Start a run of a policy by hand, and return it: a background worker carries out its job.

    ``token`` is that of a preview: the run acts on what the preview has shown, or not at all. With
    ``force`` a run needs no token, and can act on any share of the images. Raises Invalid without
    either, NotFound, Forbidden, Changed if the preview is out of date, and Conflict if another run
    is not finished, or this one would act on too many images.
    """
    policy = policies.get(caller, name, policies.MANAGE)
    if token is None and not force:
        raise errors.Invalid(
            "Send the token of a preview as 'preview', or \"force\": true to run without a look."
        )
    found = preview(policy)
    if token is not None and token != found.token:
        raise _changed(policy)
    if found.exceeds(policy) and not force:
        raise errors.Conflict(too_many(policy, found))
    with policies.locked(caller, name) as locked:
        if locked.version != policy.version:
            raise _changed(policy)
        policies.check_no_open_run(policy)
        return store(policy, found, caller, reason)


def store(
    policy: RetentionPolicy, found: Preview, caller: Caller, reason: str
) -> RetentionRun:
    """Save a run of the previewed decisions, and request its job. Call it in a transaction."""
    run = new(policy, found, caller, reason)
    run.save(force_insert=True)
    RetentionDecision.objects.bulk_create(
        [_row(run, decision) for decision in found.acts], batch_size=500
    )
    run.job = job_queue.request(
        RUN,
        caller,
        key=str(run.pk),
        project="",
        reason=reason,
        arguments={"run": run.pk},
    )
    run.save(update_fields=["job"])
    return run


def new(
    policy: RetentionPolicy, found: Preview, caller: Caller, reason: str
) -> RetentionRun:
    """Return a new, unsaved run of a policy, with the numbers of the decisions in the preview."""
    return RetentionRun(
        policy=policy,
        name=policy.name,
        snapshot=policy.snapshot,
        actor=caller.user,
        interface=caller.interface,
        request_id=caller.request_id,
        reason=reason,
        counts={**+found.counts, "images": found.total},
    )


def too_many(policy: RetentionPolicy, found: Preview) -> str:
    """Return the message for a run that was refused because it exceeds the policy's ``max_share``."""
    return (
        f"{_over_share(policy, found)} Nothing was changed. Look at a preview, then change the "
        "policy, or run it with 'force'."
    )


def would_refuse(policy: RetentionPolicy, found: Preview) -> str:
    """Return the warning in a preview whose run would be refused because it exceeds ``max_share``."""
    return f"{_over_share(policy, found)} A run does nothing, unless it is forced."


def _over_share(policy: RetentionPolicy, found: Preview) -> str:
    return (
        f"Policy {policy.name} would act on {found.due} of {found.total} images, more than "
        f"max_share ({policy.max_share} %) allows."
    )


def _changed(policy: RetentionPolicy) -> errors.Changed:
    return errors.Changed(
        f"Policy {policy.name}, or an image on which it acts, has changed since the preview. Look "
        "at a new preview, then run that."
    )


def _row(run: RetentionRun, decision: Decision) -> RetentionDecision:
    fact = decision.fact
    return RetentionDecision(
        run=run,
        image_id=fact.image,
        name=fact.name,
        group=fact.group,
        label=fact.label,
        decision=decision.decision,
        because=decision.because,
        size=fact.size,
        seen_at=fact.updated_at,
    )
