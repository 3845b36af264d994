"""The life cycle as a table: every status against every edge, allowed or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django_fsm import TransitionNotAllowed

from images import errors, lifecycle, models
from images.access import Caller
from images.models import Event, Image, ImageLocation, LocationStatus, Status
from tests.locations import remove_first

EDGES = {
    "mark_saving": {"queued": "saving"},
    "mark_uploading": {"queued": "uploading"},
    "mark_importing": {"queued": "importing", "uploading": "importing"},
    "mark_received": {"saving": "active", "importing": "active"},
    "mark_located": {"queued": "active"},
    "mark_killed": {"saving": "killed"},
    "mark_requeued": {
        "saving": "queued",
        "uploading": "queued",
        "importing": "queued",
    },
    "mark_restaged": {"importing": "uploading"},
    "mark_unlocated": {"active": "queued"},
    "mark_deactivated": {"active": "deactivated"},
    "mark_reactivated": {"deactivated": "active"},
    "mark_pending_delete": {
        "active": "pending_delete",
        "deactivated": "pending_delete",
    },
    "mark_restored": {"pending_delete": "active"},
    "mark_scrubbed": {"pending_delete": "deleted"},
    "mark_deleted": {
        "queued": "deleted",
        "saving": "deleted",
        "uploading": "deleted",
        "importing": "deleted",
        "active": "deleted",
        "deactivated": "deleted",
        "killed": "deleted",
    },
}
LOCATION_EDGES = {
    "mark_pending_delete": {"active": "pending_delete"},
    "mark_restored": {"pending_delete": "active"},
    "mark_deleted": {"pending_delete": "deleted"},
}


@pytest.mark.parametrize("status", Status.values)
@pytest.mark.parametrize("edge", EDGES)
def test_an_image_moves_along_the_edges_and_no_other_way(
    status: str, edge: str
) -> None:
    image = Image(status=status, status_before_delete="active")

    if status in EDGES[edge]:
        getattr(image, edge)()
        assert image.status == EDGES[edge][status]
    else:
        with pytest.raises(TransitionNotAllowed):
            getattr(image, edge)()
        assert image.status == status


@pytest.mark.parametrize("status", LocationStatus.values)
@pytest.mark.parametrize("edge", LOCATION_EDGES)
def test_a_location_moves_along_the_edges_and_no_other_way(
    status: str, edge: str
) -> None:
    location = ImageLocation(status=status)

    if status in LOCATION_EDGES[edge]:
        getattr(location, edge)()
        assert location.status == LOCATION_EDGES[edge][status]
    else:
        with pytest.raises(TransitionNotAllowed):
            getattr(location, edge)()


def test_the_table_names_every_transition_of_the_models() -> None:
    for model, edges in ((Image, EDGES), (ImageLocation, LOCATION_EDGES)):
        marks = {name for name in vars(model) if name.startswith("mark_")}
        assert marks == set(edges)


def test_the_edges_that_are_read_from_the_model_are_those_of_the_table() -> None:
    expected = {
        (name, source, target)
        for name, ways in EDGES.items()
        for source, target in ways.items()
    } | {("mark_restored", "pending_delete", "deactivated")}

    assert {edge[:3] for edge in models.EDGES} == expected


def test_a_status_cannot_be_set_by_hand() -> None:
    image = Image(status=Status.QUEUED)

    with pytest.raises(AttributeError):
        image.status = Status.ACTIVE


# What each verb does from each status: the new status, or the error.

OUTCOMES: dict[str, dict[str, str | type[errors.ImageError]]] = {
    "upload": {"queued": "active"},
    "deactivate": {"active": "deactivated", "deactivated": "deactivated"},
    "reactivate": {"active": "active", "deactivated": "active"},
    "delete": {
        "queued": "deleted",
        "saving": "deleted",
        "uploading": "deleted",
        "importing": "deleted",
        "active": "pending_delete",
        "deactivated": "pending_delete",
        "killed": "deleted",
    },
    "restore": {"pending_delete": "active"},
    "scrub": {"pending_delete": "deleted"},
    "remove_location": {"active": "queued"},
}
REFUSALS = {
    "upload": errors.Conflict,
    "deactivate": errors.Forbidden,
    "reactivate": errors.Forbidden,
    "restore": errors.Conflict,
    "scrub": errors.Conflict,
    "remove_location": errors.Conflict,
}
SEES_DELETED = ("restore", "scrub")
VERBS: dict[str, Callable[[str, Caller], None]] = {
    "upload": lambda image_id, actor: lifecycle.upload(image_id, [b"data"], actor),
    "deactivate": lifecycle.deactivate,
    "reactivate": lifecycle.reactivate,
    "delete": lifecycle.delete,
    "restore": lifecycle.restore,
    "scrub": lifecycle.scrub,
    "remove_location": remove_first,
}


@pytest.mark.parametrize("status", Status.values)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_moves_the_image_or_refuses(
    verb: str, status: str, make_image: Callable[..., Image], member: Caller
) -> None:
    image = make_image(status=status)
    expected = OUTCOMES[verb].get(status)

    if expected is None:
        with pytest.raises(_refusal(verb, status)):
            VERBS[verb](image.pk, member)
        expected = status
    else:
        VERBS[verb](image.pk, member)

    assert Image.objects.get(pk=image.pk).status == expected


def _refusal(verb: str, status: str) -> type[errors.ImageError]:
    deleted = status in (Status.PENDING_DELETE, Status.DELETED)
    if deleted and verb not in SEES_DELETED:
        return errors.NotFound
    return REFUSALS[verb]


@pytest.mark.parametrize(
    ("verb", "status"),
    [(verb, status) for verb, moves in OUTCOMES.items() for status in moves],
)
def test_every_move_leaves_its_events(
    verb: str, status: str, make_image: Callable[..., Image], member: Caller
) -> None:
    image = make_image(status=status)

    VERBS[verb](image.pk, member)

    events = list(Event.objects.filter(image=image))
    path = [status, *(event.to_status for event in events)]
    assert [event.from_status for event in events] == path[:-1]
    assert path[-1] == Image.objects.get(pk=image.pk).status
    assert {event.actor for event in events} <= {member.user}
