"""The head of an image's pages: facts, notices, buttons, and the way through the filtered list."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from images import lifecycle
from images.access import Caller
from images.attributes import Changes
from images.models import Event, Image, Member, Status, Transfer, TransferKind
from tests.admin.conftest import LIST, shown_form
from tests.copies import work
from tests.rows import current

MakeImage = Callable[..., Image]
TABS = ("change", "data", "properties", "sharing", "history")


def page(client: Client, image: Image, tab: str = "change", query: str = "") -> str:
    answer = client.get(f"{LIST}{image.pk}/{tab}/{query}")
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def buttons(text: str) -> list[str]:
    """The labels of the buttons, without those of the refused actions."""
    bar = text.split('class="image-buttons"')[1].split("</nav>")[0]
    return re.findall(r'<a class="button[^>]*>([^<]+)</a>', bar)


def fact(text: str, label: str) -> str:
    """The text of a fact in the head, without its tags."""
    head = text.split('class="facts head"')[1].split("</dl>")[0]
    value = head.split(f"<dt>{label}</dt><dd>")[1].split("</dd>")[0]
    return re.sub("<[^>]+>", "", value)


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_begins_with_the_facts(
    root: Client, make_image: MakeImage, tab: str
) -> None:
    image = make_image(
        "active",
        name="disk",
        tags=["golden", "lts"],
        disk_format="qcow2",
        min_disk=2,
        properties={"os_distro": "debian", "os_version": "13"},
    )
    Member.objects.create(image=image, member="friends")

    text = page(root, image, tab)

    assert fact(text, "Size") == "21 B"
    assert fact(text, "Format") == "qcow2 / bare"
    assert fact(text, "Visibility") == "shared with 1 project"
    assert fact(text, "Tags") == "golden lts"
    assert fact(text, "Project") == image.owner
    assert fact(text, "Stores") == "local"
    assert fact(text, "System") == "debian 13"
    assert fact(text, "Minimum") == "2 GiB disk"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("queued", ["Upload a file", "Edit", "Add a location", "Delete"]),
        ("saving", ["Edit", "Cancel transfer", "Delete"]),
        ("active", ["Download", "Edit", "Add a location", "Deactivate", "Delete"]),
        ("deactivated", ["Download", "Edit", "Reactivate", "Delete"]),
        ("pending_delete", ["Restore", "Delete permanently"]),
        ("deleted", []),
    ],
)
def test_only_what_is_possible_is_a_button(
    root: Client, make_image: MakeImage, status: str, expected: list[str]
) -> None:
    found = buttons(page(root, make_image(status)))

    assert [it for it in found if it != "Import from a URL"] == expected


def test_other_actions_are_listed_with_the_reason(
    root: Client, make_image: MakeImage
) -> None:
    text = page(root, make_image("active", protected=True))

    more = text.split('class="more"')[1].split("</details>")[0]
    assert "<dt>Delete</dt><dd>The image is protected." in more
    assert "<dt>Restore</dt><dd>Only images in the trash can be restored." in more


# Notices


def test_a_damaged_copy_is_told_at_the_head(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active")
    image.locations.update(damage="wrong-digest: md5")

    alone = page(root, image)
    image.locations.create(store="far", key="x")
    with_another = page(root, image)

    told = "local. Checksum mismatch: the stored data has changed since upload."
    assert f"{told} No intact copy is left, so downloads fail." in alone
    assert f"{told} Downloads use the intact copy: far." in with_another


def test_the_reason_for_a_status_is_told_at_the_head(
    root: Client, make_image: MakeImage, admin: Caller
) -> None:
    image = make_image("active")
    lifecycle.deactivate(image.pk, admin, "a hole in its kernel")
    lifecycle.update(image.pk, Changes({"name": "renamed"}), admin)

    text = page(root, image).split('class="image-buttons"')[0]

    assert "Only administrators can download the image." in text
    assert "a hole in its kernel" in text


def test_a_failure_is_told_with_its_url_and_retried_from_there(
    root: Client, make_image: MakeImage, web: str
) -> None:
    image = make_image("queued")
    url = f"{web}/missing.raw"
    root.post(f"{LIST}{image.pk}/import/", {"url": url, "stores": "local"})
    work()

    text = page(root, image).split('class="image-buttons"')[0]

    assert "Web download failed:" in text
    assert url in text
    failed = image.transfers.get()
    assert f'action="{LIST}{image.pk}/transfers/{failed.pk}/retry/"' in text


# Members of an image that is not shared


def transfer(image: Image, **fields: Any) -> Transfer:
    """A new transfer of an image; by default an upload that has just succeeded."""
    values = {"kind": "upload", "status": "done", "store": "local", "key": uuid4().hex}
    if fields.get("status", "done") in ("done", "failed"):
        values |= {"ended_at": timezone.now()}  # type: ignore[dict-item]
    made: Transfer = image.transfers.create(**(values | fields))
    return made


def test_a_failure_is_in_the_badge(root: Client, make_image: MakeImage) -> None:
    image = make_image("queued")
    transfer(image, status="failed", error="It broke off.")

    badge = '<span class="badge status-failed">Queued · failed</span>'
    assert badge in page(root, image)
    label = root.get(f"{LIST}{image.pk}/live/").json()["images"][image.pk]["label"]
    assert label == "Queued · failed"


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({}, "Upload complete."),
        ({"kind": "copy"}, "Import complete."),
        ({"kind": "import", "import_method": "glance-direct"}, "Import complete."),
        ({"kind": TransferKind.IMAGE_COPY}, "Copy complete."),
    ],
)
def test_success_is_told_for_a_while(
    root: Client, make_image: MakeImage, fields: dict[str, Any], title: str
) -> None:
    image = make_image("active")
    done = transfer(image, **fields)

    assert f"<strong>{title}</strong> The 21 B of the image are stored." in page(
        root, image
    )
    done.ended_at -= timedelta(minutes=11)
    done.save()
    assert title not in page(root, image)


def test_a_paused_upload_shows_no_speed(root: Client, make_image: MakeImage) -> None:
    image = make_image("uploading")
    image.transfers.update(bytes_received=1024, bytes_expected=2048)
    assert "KiB/s" in page(root, image) or " B/s" in page(root, image)

    image.transfers.update(heartbeat_at=timezone.now() - timedelta(minutes=5))

    assert "B/s" not in page(root, image)


@pytest.mark.parametrize("tab", ["change", "data"])
def test_a_page_has_one_way_to_cancel(
    root: Client, make_image: MakeImage, tab: str
) -> None:
    saving, copied = make_image("saving"), make_image("active")
    transfer(copied, kind=TransferKind.IMAGE_COPY, status="running")

    assert len(re.findall(">Cancel[^<]*</a>", page(root, saving, tab))) == 1
    assert len(re.findall(">Cancel[^<]*</a>", page(root, copied, tab))) == 1


def test_details_of_events_are_words(root: Client, make_image: MakeImage) -> None:
    image, change = make_image("active"), uuid4()
    for verb, detail in (
        ("receive", {"transfer": str(uuid4()), "size": 3 << 20, "failed_stores": "b"}),
        ("add_member", {"member": "lab", "can_share": False}),
        ("update", {"size": ["a", "b"], "bulk_change": str(change)}),
        ("verify", {"location": 7, "md5": [None, "c0ffee"]}),
    ):
        image.events.create(verb=verb, interface="api", detail=detail)

    text = page(root, image, "history")
    lists = re.findall('<ul class="changes">(.*?)</ul>', text)

    assert lists[0] == "<li><code>md5</code>: <del>–</del> → <ins>c0ffee</ins></li>"
    assert "<code>size</code>: <del>a</del>" in lists[1]
    assert f'Part of a bulk change: <a href="{LIST}bulk/{change}/">Report</a>' in text
    assert lists[2] == "<li>Size: 3.0 MiB</li><li>Stores that failed: b</li>"
    assert len(lists) == 3


def test_the_trash_has_one_name(root: Client, make_image: MakeImage) -> None:
    image = make_image("pending_delete")

    for text in (page(root, image), root.get(f"{LIST}?view=trash").content.decode()):
        assert ">In trash</span>" in text
        assert "Moved to the trash" in text
        assert "Pending Delete" not in text


def test_members_without_effect_are_told_to_be_so(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active", visibility="private")
    for name in ("a", "b"):
        Member.objects.create(image=image, member=name, status="accepted")

    text = page(root, image, "sharing")

    assert "The image is private: its 2 memberships have no effect." in text
    assert text.count(">no effect<") == 2


def test_who_ends_the_sharing_is_told_of_the_members(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active")
    Member.objects.create(image=image, member="friends")
    form = shown_form(root, image) | {"visibility": "private"}

    answer = root.post(f"{LIST}{image.pk}/edit/", form, follow=True)

    assert current(image).visibility == "private"
    told = unescape(answer.content.decode())
    assert "The image is private: its 1 membership has no effect." in told


# Editing


@pytest.mark.parametrize(
    ("entered", "tags"),
    [
        ("golden, lts,gpu", ["golden", "gpu", "lts"]),
        ("golden\r\nlts , gpu\r\n", ["golden", "gpu", "lts"]),
        ("a,b\r\nnew", ["a,b", "new"]),
    ],
)
def test_commas_separate_tags_but_not_those_that_have_one(
    root: Client, make_image: MakeImage, entered: str, tags: list[str]
) -> None:
    image = make_image("active", tags=["a,b"])
    form = shown_form(root, image) | {"tags": entered}

    assert root.post(f"{LIST}{image.pk}/edit/", form).status_code == 302

    assert current(image).tags == tags


def test_a_refused_form_begins_with_its_errors(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active", name="disk")
    form = {"min_disk": "-3", "visibility": "shared", "min_ram": "0"}

    text = unescape(root.post(f"{LIST}{image.pk}/edit/", form).content.decode())

    assert "<title>Error: Edit disk |" in text
    above = text.split("<fieldset")[0]
    assert '<a href="#id_min_disk">Minimum disk (GiB)</a>: Ensure' in above


def test_a_deleted_image_is_not_edited(root: Client, make_image: MakeImage) -> None:
    image = make_image("pending_delete")

    answer = root.get(f"{LIST}{image.pk}/edit/", follow=True)

    assert "Deleted images cannot be edited." in answer.content.decode()


# An action that somebody else was faster with


def test_an_action_that_changed_nothing_says_so(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("deactivated")

    answer = root.post(
        f"{LIST}{image.pk}/move/deactivate/", {"reason": "late"}, follow=True
    )

    told = "The image is deactivated already. Nothing was changed."
    assert told in answer.content.decode()
    assert not Event.objects.exists()


# Download


def test_the_data_is_downloaded_as_a_file(root: Client, make_image: MakeImage) -> None:
    image = make_image("active", name="debian 13/generic.qcow2", disk_format="qcow2")

    answer: Any = root.get(f"{LIST}{image.pk}/download/")

    assert b"".join(answer.streaming_content) == b"the bytes of an image"
    name = 'attachment; filename="debian_13_generic.qcow2"'
    assert answer["Content-Disposition"] == name
    assert answer["Content-Type"] == "application/octet-stream"


def test_an_interrupted_download_is_resumed(
    root: Client, make_image: MakeImage
) -> None:
    path = f"{LIST}{make_image('active').pk}/download/"
    etag = root.get(path)["ETag"]

    rest: Any = root.get(path, headers={"Range": "bytes=4-8", "If-Range": etag})

    assert rest.status_code == 206
    assert b"".join(rest.streaming_content) == b"bytes"


@pytest.mark.parametrize("status", set(Status.values) - {"active", "deactivated"})
def test_an_image_without_data_is_not_downloaded(
    root: Client, make_image: MakeImage, status: str
) -> None:
    answer = root.get(f"{LIST}{make_image(status).pk}/download/")

    assert answer.status_code == 302
    assert answer["Location"].endswith("/change/")


def test_a_download_needs_its_own_permission(
    client: Client, make_image: MakeImage
) -> None:
    path = f"{LIST}{make_image('active').pk}/download/"
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(Permission.objects.exclude(codename="download_image"))
    client.force_login(user, "imagecatalog.identity.backends.Passwords")
    assert client.get(path).status_code == 403

    user.user_permissions.add(Permission.objects.get(codename="download_image"))

    assert client.get(path).status_code == 200


# The way through the list


def near(text: str, rel: str) -> str:
    found = re.search(rf'<a href="([^"]+)" rel="{rel}">', text)
    return found[1] if found else ""


def test_the_pages_lead_through_the_filtered_list(
    root: Client, make_image: MakeImage
) -> None:
    images = [make_image("active", name=f"disk-{n}", tags=["x"]) for n in range(3)]
    make_image("active", name="another")
    listed = unescape(root.get(f"{LIST}?tag=x&o=2").content.decode())
    first = re.search(rf'href="({LIST}{images[0].pk}/change/[^"]+)"', listed)
    assert first

    shown = [unescape(root.get(first[1]).content.decode())]
    for _ in range(2):
        shown.append(unescape(root.get(near(shown[-1], "next")).content.decode()))

    titles = [re.findall(r"<h1><bdi>([^<]+)</bdi>", text)[0] for text in shown]
    assert titles == ["disk-0", "disk-1", "disk-2"]
    assert not near(shown[0], "prev")
    assert not near(shown[2], "next")
    assert f'href="{LIST}?o=2&tag=x">Images' in shown[2]


def test_an_image_that_left_the_list_keeps_its_place_in_it(
    root: Client, make_image: MakeImage
) -> None:
    images = [make_image("active", name=f"disk-{n}") for n in range(3)]
    query = "?_changelist_filters=status%3Dactive%26o%3D2&at=1"

    answer = root.post(
        f"{LIST}{images[1].pk}/move/deactivate/{query}", {"reason": "r"}, follow=True
    )

    text = unescape(answer.content.decode())
    assert images[0].pk in near(text, "prev")
    assert images[2].pk in near(text, "next")


@pytest.mark.parametrize(
    "filters", ["status=nosuch", "o=9.9.9", "q=%00", "%00=1", "q=" + "a+" * 900, "p=x"]
)
def test_a_list_that_nobody_links_to_harms_nobody(
    root: Client, make_image: MakeImage, filters: str
) -> None:
    image = make_image("active")

    answer = root.get(
        f"{LIST}{image.pk}/change/", {"_changelist_filters": filters, "at": "0"}
    )

    assert answer.status_code == 200
