"""Create, change and delete retention policies, and find them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from images import access, errors
from images.access import Caller, Target
from images.models import Family, RetentionPolicy, RetentionRun, positions
from images.retention import schedule, values

log = logging.getLogger(__name__)

SHOW = "get_retention"
MANAGE = "manage_retention"
# Policies belong to no project.
TARGET: Target = {"owner": None, "visibility": "private"}


def get(caller: Caller, name: str, action: str = SHOW) -> RetentionPolicy:
    """Return a policy by its name, if the caller is allowed ``action`` on policies.

    Raises NotFound, also for a caller who cannot see policies, and Forbidden.
    """
    check(caller, action, _missing(name))
    policy = RetentionPolicy.objects.filter(name=name).first()
    if policy is None:
        raise _missing(name)
    return policy


def get_run(caller: Caller, run_id: int, action: str = SHOW) -> RetentionRun:
    """Return a run by its id, also of a deleted policy. Raises NotFound and Forbidden."""
    check(caller, action, missing_run(run_id))
    run = RetentionRun.objects.filter(pk=run_id).first()
    if run is None:
        raise missing_run(run_id)
    return run


def missing_run(run_id: object) -> errors.NotFound:
    """Return the error for a run that does not exist or that the caller cannot see."""
    return errors.NotFound(f"There is no such run of a retention policy: {run_id}.")


def _missing(name: str) -> errors.NotFound:
    return errors.NotFound(f"There is no retention policy {name[:64]}.")


def check(caller: Caller, action: str, missing: errors.NotFound) -> None:
    """Raise Forbidden unless the caller is allowed ``action`` on policies.

    Raises the error ``missing`` instead if the caller cannot see policies.
    """
    access.check_shown(caller, TARGET, SHOW, missing, action)


def page(
    caller: Caller, *, marker: str | None = None, limit: int = 100
) -> tuple[list[RetentionPolicy], str | None]:
    """Return a page of the policies by name, and the marker of the next page; None on the last one.

    ``marker`` is the name of the last policy of the previous page. A caller who cannot see policies
    gets none. One query.
    """
    if not access.may(caller, SHOW, TARGET):
        return [], None
    policies = RetentionPolicy.objects.order_by("name")
    if marker is not None:
        policies = policies.filter(name__gt=marker)
    return positions.first(policies, limit, attrgetter("name"))


def create(caller: Caller, document: object) -> RetentionPolicy:
    """Create a policy from a client's document and return it.

    Raises Invalid with the name of a bad value, Forbidden, and Conflict if the name is taken.
    """
    access.check(caller, MANAGE, TARGET)
    given = values.clean_new(document)
    _resolve_scope(caller, given)
    policy = RetentionPolicy(**given)
    _plan(policy)
    try:
        with transaction.atomic():
            policy.save(force_insert=True)
            _log(caller, policy, "created")
    except IntegrityError:
        raise errors.Conflict(
            f"There is a retention policy {policy.name} already. Choose another name."
        ) from None
    return policy


def update(
    caller: Caller,
    name: str,
    document: object,
    *,
    expected: Collection[int] | None = None,
) -> RetentionPolicy:
    """Change a policy by a JSON merge patch and return it.

    ``expected`` are the versions of which the policy must have one; None: any. Raises NotFound,
    Forbidden, Changed, and Invalid with the name of a bad value.
    """
    with locked(caller, name, expected) as policy:
        given = values.clean_changes(document)
        _resolve_scope(caller, given)
        changed = {
            column: value
            for column, value in given.items()
            if getattr(policy, column) != value
        }
        if not changed:
            return policy
        for column, value in changed.items():
            setattr(policy, column, value)
        if changed.keys() & {"schedule", "enabled"}:
            _plan(policy)
        policy.version += 1
        policy.updated_at = timezone.now()
        columns = (*changed, "next_run_at", "version", "updated_at")
        policy.save(update_fields=columns)
        _log(caller, policy, f"changed: {', '.join(changed)}")
        return policy


def delete(
    caller: Caller, name: str, *, expected: Collection[int] | None = None
) -> None:
    """Delete a policy; its runs stay, and can be undone.

    ``expected`` are the versions of which the policy must have one; None: any. Raises NotFound,
    Forbidden, Changed, and Conflict if a family names the policy, or a run is not finished.
    """
    with locked(caller, name, expected) as policy:
        family = Family.objects.filter(retention=policy.name).first()
        if family is not None:
            raise errors.Conflict(
                f"Family {family.name} of project {family.owner} names the policy. Set the "
                "'retention' of the family to null first."
            )
        check_no_open_run(policy)
        RetentionPolicy.objects.filter(pk=policy.pk).delete()
        _log(caller, policy, "deleted")


def disable(pk: int | None) -> None:
    """End the schedule of a policy, unless it was deleted (None); runs by hand stay possible."""
    if pk is None:
        return
    policies = RetentionPolicy.objects.filter(pk=pk, enabled=True)
    policies.update(
        enabled=False,
        next_run_at=None,
        version=F("version") + 1,
        updated_at=timezone.now(),
    )


def check_no_open_run(policy: RetentionPolicy) -> None:
    """Raise Conflict if a run of a policy, or the undo of one, waits or works."""
    run = RetentionRun.objects.open().filter(policy=policy).first()
    if run is not None:
        raise errors.Conflict(
            f"Run {run.pk} of policy {policy.name} is not finished. Wait for its job, or "
            "cancel the job."
        )


@contextmanager
def locked(
    caller: Caller, name: str, expected: Collection[int] | None = None
) -> Iterator[RetentionPolicy]:
    """Lock a policy in a transaction within the context, for a caller who is allowed to manage it.

    Raises NotFound, Forbidden, and Changed unless its version is one of ``expected`` (None: any).
    """
    with transaction.atomic():
        pk = get(caller, name, MANAGE).pk
        policy = RetentionPolicy.objects.select_for_update().filter(pk=pk).first()
        if policy is None:
            raise _missing(name)
        if expected is not None and policy.version not in expected:
            raise errors.Changed(
                f"Policy {policy.name} has version {policy.version} by now. Read it again, then "
                "repeat the request."
            )
        yield policy


def _log(caller: Caller, policy: RetentionPolicy, change: str) -> None:
    """Log a change of a policy once its transaction is committed."""
    context = {"context": caller.log_context}
    line = partial(
        log.info, "retention policy %s %s", policy.name, change, extra=context
    )
    transaction.on_commit(line)


def _plan(policy: RetentionPolicy) -> None:
    text = policy.schedule if policy.enabled else ""
    policy.next_run_at = schedule.next_time(text, timezone.now())


def _resolve_scope(caller: Caller, given: dict[str, Any]) -> None:
    """Replace the names of families and projects in a scope by their ids. Raises Invalid for unknown ones."""
    scope = given.get("scope", {})
    if "families" in scope:
        scope["families"] = [_family(caller, ref) for ref in scope["families"]]
    if "projects" in scope:
        scope["projects"] = [_project(ref) for ref in scope["projects"]]


def _family(caller: Caller, ref: str) -> str:
    try:
        return str(access.get_family(caller, ref).pk)
    except errors.ImageError as error:
        raise errors.Invalid(f"Invalid scope.families: {error}") from None


def _project(ref: str) -> str:
    owner = access.owner_id(ref)
    if owner is None:
        raise errors.Invalid(
            f"Invalid scope.projects: there is no project {ref[:64]}. Use ids or names of projects."
        )
    return owner
