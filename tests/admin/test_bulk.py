"""Bulk changes: a preview of what changes and what is refused, then a report, both at one address."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imagecatalog.identity.models import Project
from images import attributes, errors, job_queue, lifecycle
from images.access import Caller
from images.admin import bulk_preview, bulk_views
from images.bulk import drafts
from images.jobs import kinds
from images.models import BulkChange, BulkRow, Event, Image, Job
from tests.admin.conftest import LIST

MakeImage = Callable[..., Image]


def statuses() -> list[str]:
    return sorted(Image.objects.values_list("status", flat=True))


def ask(client: Client, verb: str, *images: Image, query: str = "", **form: str) -> str:
    """Request an action as the list does for selected images; return the address of the preview."""
    ids = [image.pk for image in images]
    form = {"action": verb, "select_across": "0", "index": "0"} | form
    response = client.post(f"{LIST}{query}", form | {"_selected_action": ids})
    assert response.status_code == 302
    return str(response.headers["Location"])


def draft(verb: str, caller: Caller, *images: Image) -> str:
    """Return the address of a draft for images that no one view of the list shows together."""
    rows = Image.objects.filter(pk__in=[image.pk for image in images])
    return f"{LIST}bulk/{drafts.create(verb, rows, caller).pk}/"


def look(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return str(response.content.decode())


def confirm(client: Client, path: str, reason: str = "a test") -> str:
    """Confirm a preview as its page does; return the page that the browser shows then."""
    response = client.post(path, {"reason": reason} | previewed(look(client, path)))
    assert response.status_code == 302
    assert response.headers["Location"] == path
    return look(client, path)


def previewed(page: str) -> dict[str, str]:
    """The hidden field of a preview that says what it has shown."""
    found = re.search(r'name="previewed" value="([^"]+)"', page)
    return {"previewed": found[1]} if found else {}


def do(client: Client, verb: str, *images: Image, **options: Any) -> str:
    return confirm(client, ask(client, verb, *images, **options))


def images_on(page: str) -> set[str]:
    """The images in the content of a page, or in a part of it."""
    content = page.rpartition("</header>")[2].partition("<footer")[0]
    return set(re.findall(r"<bdi>([^<]+)</bdi>", content))


def test_an_action_shows_first_what_it_would_do(
    root: Client, make_image: MakeImage, admin: Caller
) -> None:
    images = [
        *(make_image("active", name=f"image {number}") for number in range(2)),
        make_image("active", protected=True, name="the protected one"),
        make_image("deleted", name="the deleted one"),
    ]

    page = look(root, draft("delete", admin, *images))

    assert "2 images will change, 2 will be refused." in page
    assert "1 image: The image is protected. Remove the protection first." in page
    assert "1 image: The image is already deleted." in page
    will_be_refused, will_change = page.split('id="changing"')
    assert images_on(will_be_refused) == {"the protected one", "the deleted one"}
    assert images_on(will_change) == {"image 0", "image 1"}
    assert statuses() == ["active"] * 3 + ["deleted"]


def test_the_report_is_at_the_address_of_the_preview(
    root: Client, make_image: MakeImage
) -> None:
    images = [
        make_image("active"),
        make_image("queued"),
        make_image("active", protected=True, name="the protected one"),
    ]

    page = do(root, "delete", *images)

    assert "Delete: 2 changed, 1 refused" in page
    assert images_on(page) == {"the protected one"}
    assert "is protected and cannot be deleted" in page
    assert statuses() == ["active", "deleted", "pending_delete"]


def test_the_report_names_the_refusals_only_where_there_are_some(
    root: Client, make_image: MakeImage
) -> None:
    path = ask(root, "deactivate", make_image("active"), make_image("deactivated"))

    page = confirm(root, path, "recalled")

    assert "reason: recalled" in page
    assert "Why refused" not in page
    path = ask(root, "deactivate", make_image("active"), make_image("queued"))
    assert "Why refused" in confirm(root, path)


def test_what_was_started_cannot_be_started_again(
    root: Client, make_image: MakeImage
) -> None:
    path = ask(root, "deactivate", image := make_image("active"))
    confirm(root, path)
    Image.objects.filter(pk=image.pk).update(status="active")

    assert "was started already" in confirm(root, path)
    assert statuses() == ["active"]


def test_the_reason_is_in_the_history_of_each(
    root: Client, make_image: MakeImage
) -> None:
    images = [make_image("active"), make_image("active")]

    confirm(root, ask(root, "deactivate", *images), "recalled")

    events = Event.objects.values_list("reason", "actor", "interface")
    assert list(events) == [("recalled", "root", "admin")] * 2


def test_without_a_reason_nothing_is_done(root: Client, make_image: MakeImage) -> None:
    page = root.post(ask(root, "delete", make_image("active")), {"reason": ""})

    assert "This field is required" in page.content.decode()
    assert statuses() == ["active"]


def test_all_that_match_are_changed_and_nothing_that_matches_later(
    root: Client, make_image: MakeImage
) -> None:
    images = [make_image("active", tags=["old"]) for _ in range(3)]
    make_image("active")
    path = ask(root, "delete", images[0], select_across="1", query="?tag=old")
    make_image("active", tags=["old"])

    assert "Delete: 3 changed, 0 refused" in confirm(root, path)
    assert statuses() == [*["active"] * 2, *["pending_delete"] * 3]


def test_what_has_the_wanted_status_already_stays_as_it_is(
    root: Client, make_image: MakeImage
) -> None:
    path = ask(root, "deactivate", make_image("active"), make_image("deactivated"))
    assert "1 image will change, 1 stay as they are." in look(root, path)

    assert "Deactivate: 1 changed, 0 refused" in confirm(root, path)
    assert "Unchanged (1)" in look(root, path)


def test_many_images_wait_for_a_worker_and_the_page_follows_it(
    root: Client, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_views, "AT_ONCE", 1)
    path = ask(root, "deactivate", make_image("active"), make_image("active"))

    page = confirm(root, path)
    assert "Deactivate: 2 images" in page
    assert "Waiting" in page
    assert statuses() == ["active"] * 2
    job = Job.objects.get()
    assert f'data-poll="/admin/images/job/live/?ids={job.pk}"' in page
    assert path in look(root, f"/admin/images/job/{job.pk}/change/")

    kinds.carry_out(job.pk)
    assert "Deactivate: 2 changed, 0 refused" in look(root, path)


def test_what_takes_too_long_is_left_to_a_worker(
    root: Client, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_views, "SECONDS", -1.0)
    path = ask(root, "deactivate", make_image("active"))

    assert "Waiting" in confirm(root, path)

    kinds.carry_out(Job.objects.get().pk)
    assert "Deactivate: 1 changed, 0 refused" in look(root, path)


def test_a_bulk_change_is_cancelled(
    root: Client, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_views, "AT_ONCE", 0)
    path = ask(root, "delete", make_image("active"))
    assert 'name="cancel"' in confirm(root, path)

    page = root.post(path, {"cancel": "Cancel"}, follow=True).content.decode()

    assert "Cancelled by root" in page
    assert "Not yet changed (1)" in page
    assert 'name="cancel"' not in page
    assert statuses() == ["active"]


def test_a_deletion_is_undone_by_the_page_of_its_report(
    root: Client, make_image: MakeImage
) -> None:
    path = ask(root, "delete", make_image("active", name="one"), make_image("queued"))
    assert 'name="undo"' in confirm(root, path)

    undo = root.post(path, {"undo": "Undo"}).headers["Location"]

    assert "1 image will change, 1 will be refused." in look(root, undo)
    assert "Restore: 1 changed, 1 refused" in confirm(root, undo)
    assert statuses() == ["active", "deleted"]


def test_an_undo_leaves_alone_what_somebody_has_deleted_again_since(
    root: Client, make_image: MakeImage, admin: Caller
) -> None:
    images = [make_image("active", name=name) for name in ("one", "two", "three")]
    path = ask(root, "delete", *images)
    confirm(root, path)

    def delete_again(image: Image) -> None:
        lifecycle.restore(image.pk, admin)
        lifecycle.delete(image.pk, admin)

    delete_again(images[0])
    undo = root.post(path, {"undo": "Undo"}).headers["Location"]
    page = look(root, undo)
    assert "2 images will change, 1 will be refused." in page
    assert "1 image: Somebody has changed the status of the image since." in page
    delete_again(images[1])

    report = confirm(root, undo)

    assert "Restore: 1 changed, 2 refused" in report
    assert images_on(report) == {"one", "two"}
    assert Image.objects.get(status="active") == images[2]


def test_a_deactivation_is_undone_and_that_again(
    root: Client, make_image: MakeImage
) -> None:
    path = ask(root, "deactivate", make_image("active"), make_image("deactivated"))
    confirm(root, path)

    undo = root.post(path, {"undo": "Undo"}).headers["Location"]
    assert "Reactivate: 1 changed, 0 refused" in confirm(root, undo)
    assert statuses() == ["active", "deactivated"]
    again = root.post(undo, {"undo": "Undo"}).headers["Location"]

    assert "Deactivate: 1 changed, 0 refused" in confirm(root, again)
    assert statuses() == ["deactivated"] * 2


def test_a_deletion_removes_nothing_from_a_trash_that_is_full(
    root: Client, make_image: MakeImage, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_TRASH_QUOTA = 25
    Project.objects.create(id="p", name="laboratory")
    make_image("pending_delete", data=b"x" * 10, owner="p", name="in the trash")
    images = [
        make_image("active", data=b"x" * size, owner="p", name=f"{size} bytes")
        for size in (30, 10, 6, 5)
    ]
    images += [make_image("active", data=b"x" * 20, owner="q"), make_image("queued")]
    path = ask(root, "delete", *images)

    page = look(root, path)
    assert "4 images will change, 2 will be refused." in page
    assert (
        "2 images: The trash of project laboratory has no room for the image." in page
    )
    assert "Moves 3 images to the trash with their 35 B." in page
    assert images_on(page.split('id="changing"')[1]) >= {"10 bytes", "5 bytes"}
    assert not images_on(page) & {"30 bytes", "6 bytes"}
    report = confirm(root, path)

    assert "Delete: 4 changed, 2 refused" in report
    assert images_on(report) == {"30 bytes", "6 bytes"}
    assert "has no room for image" in report
    assert statuses() == [*["active"] * 2, "deleted", *["pending_delete"] * 4]


def test_what_was_cancelled_is_continued(
    root: Client, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_views, "AT_ONCE", 0)
    path = ask(root, "deactivate", make_image("active"), make_image("active"))
    assert 'name="continue"' not in confirm(root, path)
    Job.objects.update(status="failed", error="The worker died.")
    BulkRow.objects.filter(pk=BulkRow.objects.earliest("pk").pk).update(result="done")
    assert 'name="continue"' in look(root, path)

    page = root.post(path, {"continue": "Continue"}, follow=True).content.decode()
    assert "Waiting" in page
    twice = root.post(path, {"continue": "Continue"}, follow=True).content.decode()
    assert "There is nothing to continue." in twice
    kinds.carry_out(Job.objects.get(status="waiting").pk)

    page = look(root, path)
    assert "Deactivate: 2 changed, 0 refused" in page
    assert 'name="continue"' not in page
    assert statuses() == ["active", "deactivated"]


def test_a_restore_has_no_undo(root: Client, make_image: MakeImage) -> None:
    page = do(root, "restore", make_image("pending_delete"), query="?view=trash")

    assert "Restore: 1 changed" in page
    assert 'name="undo"' not in page


def test_the_list_shows_the_images_of_a_bulk_change(
    root: Client, make_image: MakeImage
) -> None:
    page = do(root, "delete", make_image("active", name="one"))
    make_image("active", name="another")

    link = re.search(r'href="([^"]+\?bulk=[^"]+)"', page)

    assert link
    listed = look(root, link[1])
    assert ">one</" in listed
    assert ">another</" not in listed


# Edits


def edit(client: Client, path: str, **form: str) -> str:
    """Say what a draft edits; return the address of its preview."""
    response = client.post(path, {"edit": "Preview"} | form)
    assert response.status_code == 302, response.content.decode()
    return path


def test_an_edit_changes_tags_properties_visibility_owner_and_flags(
    root: Client, make_image: MakeImage
) -> None:
    Project.objects.create(id="project-b", name="laboratory")
    image = make_image(
        "active", tags=["lts", "old"], properties={"os_distro": "debian", "a": "1"}
    )
    path = edit(
        root,
        ask(root, "edit", image),
        add_tags="golden\nlts",
        remove_tags="old",
        properties="os_distro=ubuntu\nhw_machine_type=q35",
        remove_properties="a",
        visibility="community",
        owner="laboratory",
        protected="1",
    )
    assert "1 image will change." in look(root, path)

    page = confirm(root, path, "cleaned up")

    assert "Edit: 1 changed, 0 refused" in page
    assert "owner: laboratory" in page
    changed = Image.objects.get()
    assert changed.tags == ["golden", "lts"]
    assert changed.properties == {"os_distro": "ubuntu", "hw_machine_type": "q35"}
    assert (changed.visibility, changed.owner) == ("community", "project-b")
    assert changed.protected
    assert not changed.os_hidden
    event = Event.objects.get()
    assert event.reason == "cleaned up"
    assert event.detail["tags"] == [["lts", "old"], ["golden", "lts"]]


def test_the_preview_of_an_edit_says_what_is_refused_and_what_has_it_already(
    root: Client, make_image: MakeImage, admin: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_TAG_QUOTA = 2
    images = [
        make_image("active", name="gets it"),
        make_image("active", name="has it", tags=["new"]),
        make_image("active", name="is full", tags=["a", "b"]),
        make_image("pending_delete", name="is deleted"),
    ]

    path = edit(root, draft("edit", admin, *images), add_tags="new")
    page = look(root, path)

    assert "1 image will change, 1 stay as they are, 2 will be refused." in page
    assert "too many tags" in page
    assert "The image is deleted." in page
    report = confirm(root, path)
    assert "Edit: 1 changed, 2 refused" in report
    assert images_on(report) == {"is full", "is deleted"}


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"add_tags": "a", "remove_tags": "a"}, "both set and removed"),
        ({"properties": "os_distro"}, "is not a property"),
        ({"properties": "os_glance_x=1"}, "is reserved"),
        ({"properties": "image_family=x"}, "families set it"),
        ({"properties": "hw_cpu_cores=many"}, "enter a whole number"),
        ({"owner": "nobody"}, "There is no project “nobody”."),
        ({"visibility": "secret"}, "not one of the available choices"),
        ({"add_tags": "x" * 256}, "longer than 255"),
    ],
)
def test_an_edit_that_no_image_can_have_is_refused_before_its_preview(
    root: Client, make_image: MakeImage, form: dict[str, str], sentence: str
) -> None:
    path = ask(root, "edit", make_image("active"))

    page = root.post(path, {"edit": "Preview"} | form).content.decode()

    assert sentence in page
    assert BulkChange.objects.get().edit == {}


def test_an_edit_without_changes_cannot_be_started(
    root: Client, make_image: MakeImage
) -> None:
    path = ask(root, "edit", make_image("active"))

    assert "changes nothing" in confirm(root, path)
    assert not Job.objects.exists()


def test_an_edit_is_tried_on_so_many_images_and_the_preview_says_so(
    root: Client, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_preview, "CHECKED", 1)

    path = ask(root, "edit", make_image("active"), make_image("active"))
    edit(root, path, protected="1")

    page = look(root, path)
    assert "1 image will change." in page
    assert "These are the numbers of the first 1 images." in page
    assert "was not tried on the other 1 image:" in page
    assert "Edit (2)" in page
    assert "Edit: 2 changed, 0 refused" in confirm(root, path)


def test_only_the_edit_of_the_preview_can_be_started(
    root: Client, make_image: MakeImage
) -> None:
    path = ask(root, "edit", make_image("active"))
    first = look(root, edit(root, path, add_tags="first"))
    edit(root, path, add_tags="second")  # in another tab

    form = {"reason": "a test"} | previewed(first)
    page = root.post(path, form, follow=True).content.decode()

    assert "The edit was changed after this preview" in page
    assert "tag second added" in page
    assert not Job.objects.exists()
    assert "Edit: 1 changed" in confirm(root, path)
    assert Image.objects.get().tags == ["second"]


def test_an_edit_is_undone_where_nobody_has_changed_its_values_since(
    root: Client, make_image: MakeImage, admin: Caller
) -> None:
    long = "x" * 1000  # the history keeps its digest only
    images = [
        make_image(
            "active", name=name, tags=["old"], properties={"a": long, "os_distro": "x"}
        )
        for name in ("one", "two", "three")
    ]
    columns = ("name", "tags", "properties", "visibility", "protected")
    before = list(Image.objects.order_by("name").values(*columns))
    path = edit(
        root,
        ask(root, "edit", *images),
        add_tags="new",
        remove_tags="old",
        properties="os_distro=debian\nb=2",
        remove_properties="a",
        visibility="community",
        protected="1",
    )
    confirm(root, path)
    changes = attributes.Changes({"tags": ["mine"]}, {"c": "another"})
    lifecycle.update(images[1].pk, changes, admin)
    lifecycle.update(images[2].pk, attributes.Changes({}, {"c": "another"}), admin)

    undo = root.post(path, {"undo": "Undo"}).headers["Location"]
    page = look(root, undo)
    assert "2 images will change, 1 will be refused." in page
    assert "Somebody has changed &#x27;tags&#x27; since." in page
    report = confirm(root, undo)

    assert "Undo of an edit: 2 changed, 1 refused" in report
    assert images_on(report) == {"two"}
    after = list(Image.objects.order_by("name").values(*columns))
    assert after[0] == before[0]
    assert after[2]["tags"] == ["mine"]
    assert after[1] == before[1] | {
        "properties": before[1]["properties"] | {"c": "another"}
    }
    assert 'name="undo"' not in report


# Who and how many


def test_who_may_not_is_not_offered_the_action_and_cannot_forge_it(
    signed_in: Callable[..., Client], make_image: MakeImage, root: Client
) -> None:
    operator = signed_in("operator")
    image = make_image("active")

    page = operator.get(LIST).content.decode()
    for verb in ("delete", "edit", "delete_selected"):
        form = {"action": verb, "_selected_action": image.pk}
        assert operator.post(LIST, form).status_code in (302, 403)
    own = ask(operator, "deactivate", image)
    BulkChange.objects.update(verb="delete")
    assert operator.get(own).status_code == 200
    assert operator.post(own, {"reason": "forged"}).status_code == 403

    assert '<option value="deactivate">' in page
    assert '<option value="delete">' not in page
    assert '<option value="edit">' not in page
    assert statuses() == ["active"]
    assert BulkChange.objects.count() == 1


@pytest.mark.parametrize("verb", ["delete", "edit"])
def test_the_pages_ask_as_often_for_many_images_as_for_few(
    root: Client, make_image: MakeImage, admin: Caller, verb: str
) -> None:
    counts = []
    for number in (3, 12):
        images = [
            make_image(("active", "saving", "deleted")[it % 3]) for it in range(number)
        ]
        path = draft(verb, admin, *images)
        if verb == "edit":
            root.post(path, {"edit": "Preview", "os_hidden": "1"})
        with CaptureQueriesContext(connection) as queries:
            look(root, path)
        before = len(queries)
        confirm(root, path)
        with CaptureQueriesContext(connection) as queries:
            look(root, path)
        counts.append((before, len(queries)))

    assert counts[0] == counts[1]
    assert max(counts[0]) <= 16


# The job


def test_an_attempt_after_a_killed_worker_counts_what_the_first_has_done(
    admin: Caller, make_image: MakeImage
) -> None:
    for _ in range(2):
        make_image("active")
    change = drafts.create("scrub", Image.objects.all(), admin)
    Image.objects.update(status="pending_delete")
    drafts.request(change.pk, admin, "a test")
    first = Image.objects.order_by("created_at").first()
    assert first
    Event.objects.create(
        image=first,
        verb="scrub",
        to_status="deleted",
        interface="admin",
        detail={"bulk_change": str(change.pk)},
    )
    Image.objects.filter(pk=first.pk).update(status="deleted")

    kinds.carry_out(Job.objects.get().pk)

    assert list(change.rows.values_list("result", flat=True)) == ["done"] * 2


def test_what_a_killed_worker_has_changed_is_not_changed_again(
    admin: Caller, make_image: MakeImage
) -> None:
    image = make_image("active")
    change = drafts.create("deactivate", Image.objects.all(), admin)
    drafts.request(change.pk, admin, "a test")
    detail = {"bulk_change": str(change.pk)}
    lifecycle.deactivate(image.pk, replace(admin, detail=detail), "a test")
    lifecycle.reactivate(image.pk, admin, "it is needed")

    kinds.carry_out(Job.objects.get().pk)

    assert list(change.rows.values_list("result", flat=True)) == ["done"]
    assert statuses() == ["active"]


def test_what_was_deleted_after_the_selection_stays_in_the_trash(
    admin: Caller, make_image: MakeImage
) -> None:
    image = make_image("pending_delete")
    change = drafts.create("scrub", Image.objects.all(), admin)
    drafts.request(change.pk, admin, "a test")
    lifecycle.restore(image.pk, admin)
    lifecycle.delete(image.pk, admin)

    kinds.carry_out(Job.objects.get().pk)

    assert list(change.rows.values_list("result", flat=True)) == ["refused"]
    assert statuses() == ["pending_delete"]


def test_a_draft_is_for_the_user_who_made_it(
    signed_in: Callable[..., Client], make_image: MakeImage, root: Client
) -> None:
    draft = ask(root, "deactivate", make_image("active"))

    assert signed_in("operator").get(draft).status_code == 404


def test_old_bulk_changes_are_removed_and_drafts_after_a_day(
    admin: Caller, make_image: MakeImage, settings: Any
) -> None:
    make_image("active")
    kept, draft, ended = (
        drafts.create("delete", Image.objects.all(), admin) for _ in range(3)
    )
    rows = BulkChange.objects.filter(pk__in=[draft.pk, ended.pk])
    rows.update(created_at="2020-01-01T00:00Z")
    job = job_queue.request("bulk-change", admin)
    BulkChange.objects.filter(pk=ended.pk).update(
        requested_at="2020-01-01T00:00Z", job=job
    )

    drafts.prune()
    assert set(BulkChange.objects.values_list("pk", flat=True)) == {kept.pk, ended.pk}

    # As an earlier release does it, which does not know the reference.
    Job.objects.all()._raw_delete(Job.objects.db)
    assert BulkChange.objects.filter(job__isnull=False).exists()
    drafts.prune()
    assert BulkChange.objects.get() == kept


def test_drafts_are_removed_in_batches_and_cannot_be_started_meanwhile(
    root: Client,
    admin: Caller,
    make_image: MakeImage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drafts, "BATCH", 2)
    images = [make_image("active") for _ in range(3)]
    path = draft("deactivate", admin, *images)
    BulkChange.objects.update(created_at="2020-01-01T00:00Z")
    change = BulkChange.objects.get()

    with monkeypatch.context() as killed:
        killed.setattr(drafts, "_remove", lambda change: 0)
        drafts.prune()

    assert change.rows.count() == 3
    with pytest.raises(errors.NotFound):
        drafts.request(change.pk, admin, "a test")
    assert root.get(path).status_code == 404
    drafts.prune()
    assert not BulkChange.objects.exists()


def test_the_oldest_drafts_of_a_user_are_removed_when_there_are_many(
    admin: Caller, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "MOST_DRAFTS", 2)
    make_image("active")
    others = drafts.create("delete", Image.objects.all(), replace(admin, user="other"))
    started = drafts.create("delete", Image.objects.all(), admin)
    drafts.request(started.pk, admin, "a test")
    made = [drafts.create("delete", Image.objects.all(), admin) for _ in range(3)]

    drafts.prune()

    kept = set(BulkChange.objects.values_list("pk", flat=True))
    assert kept == {others.pk, started.pk, made[1].pk, made[2].pk}
