from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from images import lifecycle
from images.access import Caller
from images.models import Event, Image, Status, Transfer
from images.operations import purge
from images.transfers import reaper
from tests.test_transitions import EDGES

LONG_AGO = "2000-01-01T00:00:00Z"

pytestmark = pytest.mark.django_db


def shown(capsys: Any, *arguments: str) -> Any:
    capsys.readouterr()
    call_command("image_status", *arguments)
    out = capsys.readouterr().out
    return json.loads(out) if "--json" in arguments else out


def test_an_empty_catalogue_has_a_summary(capsys: Any) -> None:
    facts = shown(capsys, "--json")

    assert set(facts["images"]) == set(Status.values)
    assert not any(facts["images"].values())
    assert facts["trash"] == {"images": 0, "bytes": 0, "next_scrub": None}
    assert "stuck now       0" in shown(capsys)


def test_the_summary_counts_what_matters(
    make_image: Any, member: Caller, capsys: Any
) -> None:
    for status in Status.values:
        make_image(status, data=b"four" if status == "active" else None)
    Transfer.objects.filter(kind="upload").update(heartbeat_at=LONG_AGO)
    Transfer.objects.filter(kind="stage").delete()
    Transfer.objects.filter(kind="import").update(
        status="failed", ended_at=timezone.now(), error_code="store-full"
    )

    facts = shown(capsys, "--json")

    assert set(facts["images"].values()) == {1}
    assert (facts["stuck"], facts["ownerless"]) == (3, 2)
    assert facts["failed_last_24h"] == 0  # it is stuck
    assert facts["trash"]["images"] == 1
    assert facts["trash"]["next_scrub"] is not None
    assert facts["stores"]["local"]["objects"] == 3
    assert facts["to_remove"] == {"locations": 0, "transfers": 1}
    assert "next scrub" in shown(capsys)


def test_the_summary_says_what_ends_what_is_stuck(make_image: Any, capsys: Any) -> None:
    make_image("saving").transfers.all().delete()
    assert "stuck now       1\n" in shown(capsys)
    assert "1 of them without a transfer  (image_status ID --to queued" in shown(capsys)

    make_image("saving").transfers.update(heartbeat_at=LONG_AGO)
    assert "stuck now       2  (image_reap ends" in shown(capsys)


def test_images_count_as_failed_and_not_each_of_their_attempts(
    make_image: Any, capsys: Any
) -> None:
    failed = {"status": "failed", "ended_at": timezone.now(), "error_code": "no-space"}
    image, brought = make_image(), make_image("active")
    for number in range(2):
        image.transfers.create(kind="upload", key=f"ab/{number}", **failed)
    brought.transfers.create(kind="upload", key="ab/brought", **failed)

    assert shown(capsys, "--json")["failed_last_24h"] == 1


def test_damage_that_was_found_is_in_the_summary(make_image: Any, capsys: Any) -> None:
    make_image("active").locations.update(damage="wrong-digest: x")

    assert "damaged         1  (image_reconcile" in shown(capsys)


def test_the_queries_do_not_depend_on_the_number_of_images(
    make_image: Any, capsys: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        make_image("active")
        make_image("saving")

    with django_assert_max_num_queries(13):
        call_command("image_status")


def test_an_image_is_shown_with_all_that_belongs_to_it(
    make_image: Any, member: Caller, capsys: Any
) -> None:
    image = make_image(name="disk")
    Transfer.objects.create(
        image=image,
        kind="upload",
        status="failed",
        ended_at=timezone.now(),
        bytes_received=512,
        bytes_expected=2048,
        error_code="store-full",
        error="No space.",
        request_id="req-7",
    )
    lifecycle.upload(image.pk, [b"data"], member, expected_size=4)
    lifecycle.deactivate(image.pk, member, "a virus")

    out = shown(capsys, image.pk)

    assert out.startswith(f"{image.pk} deactivated\n")
    assert "name       disk" in out
    assert "--to       active (reactivate), pending_delete (delete)" in out
    assert "location   local " in out
    assert "upload failed, 512 B of 2.0 KiB (25 %)" in out
    assert "store-full: No space." in out
    assert "upload done, 4 B of 4 B (100 %)" in out
    assert "deactivate: active -> deactivated by alice (test): a virus" in out


def test_the_last_error_is_shown_with_its_request(make_image: Any, capsys: Any) -> None:
    image = make_image("saving")
    Transfer.objects.update(heartbeat_at=LONG_AGO, request_id="req-7")
    reaper.reap()

    (facts,) = shown(capsys, image.pk, "--json")

    assert facts["last_error"]["code"] == "lease-expired"
    assert facts["last_error"]["request_id"] == "req-7"
    assert "lease-expired: The transfer sent no heartbeat" in shown(capsys, image.pk)


def test_the_history_can_be_narrowed(make_image: Any, capsys: Any) -> None:
    image = make_image()
    for days, actor, interface in (
        (3, "alice", "v2"),
        (2, "eve", "admin"),
        (1, "", "v1"),
    ):
        at = timezone.now() - timedelta(days=days)
        Event.objects.create(
            image=image,
            verb="update",
            to_status="queued",
            actor=actor,
            interface=interface,
            at=at,
        )

    def interfaces(*arguments: str) -> list[str]:
        (facts,) = shown(capsys, image.pk, "--json", *arguments)
        return [event["interface"] for event in facts["history"]]

    assert interfaces() == ["v2", "admin", "v1"]
    assert interfaces("--actor", "eve") == ["admin"]
    assert interfaces("--interface", "v2") == ["v2"]
    assert interfaces("--since", "36h") == ["v1"]
    assert interfaces("--until", "36h") == ["v2", "admin"]
    assert interfaces("--limit", "2") == ["admin", "v1"]


def test_an_image_that_is_not_there_is_an_error_after_the_others(
    make_image: Any, capsys: Any
) -> None:
    image = make_image()

    with pytest.raises(CommandError, match="1 of 2 images not in the catalogue"):
        call_command("image_status", "nothing", image.pk)

    assert image.pk in capsys.readouterr().out


def test_of_a_purged_image_only_the_id_is_shown(make_image: Any, capsys: Any) -> None:
    image = make_image("deleted", name="secret")
    purge.purge_deleted(timezone.now())

    out = shown(capsys, image.pk)

    assert "purged: only the id is left" in out
    assert "secret" not in out


# Moves

MOVES = {
    "queued": {"deleted"},
    "saving": {"queued", "deleted"},
    "uploading": {"queued", "deleted"},
    "importing": {"queued", "deleted"},
    "active": {"deactivated", "pending_delete"},
    "deactivated": {"active", "pending_delete"},
    "killed": {"deleted"},
    "pending_delete": {"active", "deleted"},
    "deleted": set(),
}


# What is not shown of a usual image: after API v1, without delayed deletion.
UNUSUAL = {
    ("saving", "killed"),
    ("active", "deleted"),
    ("deactivated", "deleted"),
}


@pytest.mark.parametrize("status", Status.values)
def test_every_way_on_is_told(status: str, make_image: Any, capsys: Any) -> None:
    (facts,) = shown(capsys, make_image(status).pk, "--json")

    told = {*facts["moves"], *(way.split()[0] for way in facts["elsewhere"])}
    ways = {to for edge in EDGES.values() for at, to in edge.items() if at == status}
    assert told == {to for to in ways if (status, to) not in UNUSUAL}


@pytest.mark.parametrize("target", Status.values)
@pytest.mark.parametrize("status", Status.values)
def test_an_image_is_moved_where_its_status_allows_and_nowhere_else(
    status: str, target: str, make_image: Any, capsys: Any
) -> None:
    image = make_image(status)

    if target in MOVES[status]:
        call_command("image_status", image.pk, "--to", target, "--reason", "a test")
        event = Event.objects.get()
        assert (event.from_status, event.to_status) == (status, target)
        assert (event.reason or "").endswith("a test")
        assert event.interface == "command"
        return
    with pytest.raises(CommandError, match="1 of 1 image not changed"):
        call_command("image_status", image.pk, "--to", target, "--reason", "a test")
    err = capsys.readouterr().err
    assert f"cannot become '{target}' by hand. Possible: " in err
    assert all(possible in err for possible in MOVES[status])
    assert Image.objects.get().status == status


def test_without_delayed_delete_an_active_image_goes_at_once(
    make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_DELAYED_DELETE = False
    image = make_image("active")

    call_command("image_status", image.pk, "--to", "deleted", "--reason", "a test")

    assert Image.objects.get().status == "deleted"


def test_an_upload_of_api_v1_is_killed_by_hand(make_image: Any) -> None:
    image = make_image("saving")
    Transfer.objects.update(status_on_failure="killed")

    call_command("image_status", image.pk, "--to", "killed", "--reason", "a test")

    assert Image.objects.get().status == "killed"
    assert Transfer.objects.get().status == "failed"


def test_a_status_that_nothing_owns_is_ended_by_hand(make_image: Any) -> None:
    image = make_image("importing")
    Transfer.objects.all().delete()

    call_command("image_status", image.pk, "--to", "queued", "--reason", "a test")

    assert Image.objects.get().status == "queued"


def test_a_protected_image_stays(make_image: Any, capsys: Any) -> None:
    image = make_image("active", protected=True)

    with pytest.raises(CommandError):
        call_command(
            "image_status", image.pk, "--to", "pending_delete", "--reason", "a test"
        )

    assert "is protected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["some-id", "--to", "active"], "--reason"),
        (["--to", "active", "--reason", "x"], "No image is named"),
        (["some-id", "--to", "sleeping", "--reason", "x"], "invalid choice"),
        (["some-id", "--limit", "-1"], "whole number"),
        (["some-id", "--interface", "nowhere"], "invalid choice"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("image_status", *arguments)


def test_a_copy_that_waits_is_shown(make_image: Any, capsys: Any) -> None:
    image = make_image()
    image.transfers.create(kind="copy", status="waiting", source="http://h/image")

    out = shown(capsys, image.pk)

    assert "copy waiting, 0 B, since" in out
    assert "not yet claimed by a background worker" in out
    assert "http://h/image" not in out
