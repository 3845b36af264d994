"""Imports of data from a URL in the admin: requested, failed, and tried again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from images import errors, imports
from images.access import Caller
from images.imports import ImportRequest, queue
from images.models import Event, Image, Transfer, TransferTarget
from tests.admin.conftest import LIST
from tests.copies import waiting_copies, work
from tests.rows import current
from tests.web import allow_in_process

MakeImage = Callable[..., Image]

FORM = {
    "name": "fetched",
    "visibility": "shared",
    "disk_format": "raw",
    "container_format": "bare",
    "min_disk": "0",
    "min_ram": "0",
    "stores": "local",
}


@pytest.fixture
def failed(root: Client, make_image: MakeImage, web: str) -> Callable[..., Image]:
    """``failed("gone.raw?key=secret")``: an image whose import from this URL has failed.

    Further arguments are fields of the form, such as a wrong ``digest``.
    """

    def make(name: str, **fields: str) -> Image:
        image = make_image("queued")
        sent = {"url": f"{web}/{name}", "stores": "local"} | fields
        root.post(f"{LIST}{image.pk}/import/", sent)
        work()
        return image

    return make


@pytest.fixture
def allowed(settings: Any) -> None:
    allow_in_process(settings, "http://127.0.0.1:9")


def ask(client: Client, image: Image, url: str, checksum_url: str) -> Any:
    """Request an import whose data has its digest in a checksum file."""
    sent = {"url": url, "checksum_url": checksum_url, "stores": "local"}
    return client.post(f"{LIST}{image.pk}/import/", sent)


def test_an_image_from_a_url_waits_for_the_worker(
    root: Client, db: None, allowed: None
) -> None:
    root.post(f"{LIST}add/url/", FORM | {"url": "http://127.0.0.1:9/disk.raw"})

    transfer = Transfer.objects.get()
    assert (transfer.image.name, transfer.image.status) == ("fetched", "importing")
    assert transfer.source == "http://127.0.0.1:9/disk.raw"
    assert transfer.task_user == "root"
    assert transfer.task_request == {
        "method": {"name": "web-download", "uri": "http://127.0.0.1:9/disk.raw"},
        "stores": ["local"],
    }
    event = Event.objects.latest("pk")
    assert (event.verb, event.actor, event.to_status) == ("import", "root", "importing")


def test_imports_from_a_url_are_not_offered_where_the_method_is_switched_off(
    root: Client, make_image: MakeImage, allowed: None, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_METHODS = ("copy-image",)
    sent = {"url": "http://127.0.0.1:9/disk.raw"}
    image = make_image("queued")

    assert "location/" in root.get(f"{LIST}add/").content.decode()
    assert "add/url" not in root.get(f"{LIST}add/").content.decode()
    assert root.post(f"{LIST}add/url/", FORM | sent).status_code == 403
    assert "/import/" not in root.get(f"{LIST}{image.pk}/change/").content.decode()
    root.post(f"{LIST}{image.pk}/import/", sent)

    assert not Transfer.objects.exists()


def test_data_from_a_url_is_imported_into_an_image_that_has_none(
    root: Client, make_image: MakeImage, web: str
) -> None:
    image = make_image("queued")
    path = f"{LIST}{image.pk}/import/"
    assert f'href="{path}"' in root.get(f"{LIST}{image.pk}/change/").content.decode()
    digest = hashlib.sha256(b"the bytes of an image").hexdigest()

    sent = {"url": f"{web}/disk.raw", "digest": digest.upper(), "stores": "local"}
    answer = root.post(path, sent, follow=True)

    assert "A background worker downloads the data." in answer.content.decode()
    (waiting,) = waiting_copies()
    assert Transfer.objects.get().expected_digests == {"sha256": digest}
    queue.carry_out(waiting)
    assert current(image).status == "active"


def test_data_from_a_url_is_imported_into_several_stores(
    root: Client, make_image: MakeImage, web: str, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_STORES += f",far=file://{tmp_path}/far"
    image = make_image("queued")
    path = f"{LIST}{image.pk}/import/"
    assert root.get(path).context["form"].fields["stores"].initial == ["local"]

    root.post(path, {"url": f"{web}/disk.raw", "stores": ["local", "far"]})
    work()

    assert {it.store for it in image.locations.all()} == {"local", "far"}


@pytest.mark.parametrize("status", ["active", "saving", "killed", "deleted"])
def test_an_image_that_is_not_queued_is_not_imported(
    root: Client, make_image: MakeImage, allowed: None, status: str
) -> None:
    image = make_image(status)
    sent = {"url": "http://127.0.0.1:9/disk.raw"}

    answer = root.post(f"{LIST}{image.pk}/import/", sent, follow=True)

    assert "Only queued images can be imported" in answer.content.decode()
    assert current(image).status == status


def test_data_without_the_expected_digest_is_refused(
    root: Client, failed: Callable[..., Image]
) -> None:
    image = failed("disk.raw", digest="0" * 64)

    assert current(image).status == "queued"
    page = root.get(f"{LIST}{image.pk}/change/").content.decode()
    assert "Web download failed:" in page
    assert "Digest mismatch: sha-256 is" in page


@pytest.mark.parametrize("text", ["0" * 63, "g" * 64, "sha256:" + "0" * 64, "é" * 32])
def test_what_is_no_digest_is_refused(
    root: Client, make_image: MakeImage, allowed: None, text: str
) -> None:
    image = make_image("queued")
    sent = {"url": "http://127.0.0.1:9/disk.raw", "digest": text, "stores": "local"}

    answer = root.post(f"{LIST}{image.pk}/import/", sent)

    assert "This is not a digest." in answer.content.decode()
    assert not Transfer.objects.exists()


def test_a_url_that_is_refused_makes_no_image(root: Client, db: None) -> None:
    response = root.post(f"{LIST}add/url/", FORM | {"url": "http://127.0.0.1:9/x"})

    assert "errorlist" in response.content.decode()
    assert not Image.objects.exists()


def test_a_copy_that_failed_leaves_the_image_queued_and_is_tried_again(
    root: Client, db: None, allowed: None
) -> None:
    root.post(f"{LIST}add/url/", FORM | {"url": "http://127.0.0.1:9/disk.raw"})
    (waiting,) = waiting_copies()
    with pytest.raises(Exception, match="."):
        queue.carry_out(waiting)
    image = Image.objects.get()
    assert image.status == "queued"

    page = root.get(f"{LIST}{image.pk}/change/").content.decode()
    assert "Retry" in page
    root.post(f"{LIST}{image.pk}/transfers/{waiting}/retry/")

    assert len(waiting_copies()) == 1


def test_an_import_into_several_stores_is_tried_again_with_all_of_them(
    root: Client,
    make_image: MakeImage,
    admin: Caller,
    allowed: None,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.IMAGECATALOG_STORES = (
        f"local=file://{tmp_path}/images,far=file://{tmp_path}/far"
    )
    image, url = make_image("queued"), "http://127.0.0.1:9/disk.raw"
    names = ("local", "far")
    wanted = ImportRequest("web-download", url, store_ids=names, all_must_succeed=False)
    imports.request_import(image.pk, wanted, admin)
    (waiting,) = waiting_copies()
    with pytest.raises(errors.StoreError):
        queue.carry_out(waiting)

    root.post(f"{LIST}{image.pk}/transfers/{waiting}/retry/")

    (again,) = waiting_copies()
    targets = TransferTarget.objects.filter(transfer=again).order_by("pk")
    assert list(targets.values_list("store", "required")) == [
        ("local", False),
        ("far", False),
    ]


def test_a_file_that_has_grown_meanwhile_is_fetched_when_it_is_tried_again(
    root: Client, db: None, web: str, web_folder: Path
) -> None:
    root.post(f"{LIST}add/url/", FORM | {"url": f"{web}/disk.raw"})
    (waiting,) = waiting_copies()
    (web_folder / "disk.raw").write_bytes(bytes(5000))
    with pytest.raises(errors.Invalid, match="expected"):
        queue.carry_out(waiting)

    image = Image.objects.get()
    root.post(f"{LIST}{image.pk}/transfers/{waiting}/retry/")
    (waiting,) = waiting_copies()
    queue.carry_out(waiting)

    image = Image.objects.get()
    assert (image.status, image.size) == ("active", 5000)


def test_the_digest_that_a_person_gave_still_counts_when_it_is_tried_again(
    root: Client, db: None, web: str
) -> None:
    form = FORM | {"url": f"{web}/disk.raw", "digest": "0" * 32}
    root.post(f"{LIST}add/url/", form)
    (first,) = waiting_copies()
    with pytest.raises(errors.Invalid):
        queue.carry_out(first)

    root.post(f"{LIST}{Image.objects.get().pk}/transfers/{first}/retry/")

    (again,) = waiting_copies()
    assert Transfer.objects.get(pk=again).expected_digests == {"md5": "0" * 32}


def test_a_checksum_file_is_read_for_an_import_from_a_url(
    root: Client, make_image: MakeImage, web: str, web_folder: Path
) -> None:
    image = make_image("queued")
    (web_folder / "SHA256SUMS").write_text(f"{'0' * 64}  disk.raw\n")
    ask(root, image, f"{web}/disk.raw", f"{web}/SHA256SUMS")
    work()

    page = root.get(f"{LIST}{image.pk}/change/").content.decode()
    assert "Digest mismatch: sha-256 is" in page


def test_an_image_from_a_url_can_have_a_checksum_file(
    root: Client, db: None, web: str, web_folder: Path
) -> None:
    digest = hashlib.sha256(b"the bytes of an image").hexdigest()
    (web_folder / "SHA256SUMS").write_text(f"{digest}  disk.raw\n")
    form = FORM | {"url": f"{web}/disk.raw", "checksum_url": f"{web}/SHA256SUMS"}
    root.post(f"{LIST}add/url/", form)
    work()

    assert Image.objects.get().status == "active"


def test_a_checksum_file_needs_the_name_of_the_data(
    root: Client, make_image: MakeImage, web: str
) -> None:
    image = make_image("queued")

    answer = ask(root, image, f"{web}/", f"{web}/SHA256SUMS")

    assert "The URL does not end with the name" in answer.content.decode()
    assert not Transfer.objects.exists()


def test_what_a_client_expected_still_counts_when_its_import_is_tried_again(
    root: Client, make_image: MakeImage, client_of: Any, member: Caller, web: str
) -> None:
    image = make_image("queued")
    body = {
        "method": {"name": "web-download", "uri": f"{web}/disk.raw"},
        "expected": {"size": 7},
        "checksum_url": f"{web}/SHA256SUMS",
    }
    api = client_of(member)
    path = f"/v2/images/{image.pk}/import"
    api.post(path, json.dumps(body), content_type="application/json")
    (first,) = waiting_copies()
    work()

    root.post(f"{LIST}{image.pk}/transfers/{first}/retry/")

    again = Transfer.objects.get(pk=waiting_copies()[0])
    assert again.bytes_expected == 7
    assert again.task_request == Transfer.objects.get(pk=first).task_request
    assert imports.checksum_file_of(again) == imports.ChecksumFile(
        f"{web}/SHA256SUMS", "disk.raw"
    )


def test_a_secret_checksum_url_is_not_tried_again(
    root: Client, make_image: MakeImage, web: str
) -> None:
    image = make_image("queued")
    ask(root, image, f"{web}/disk.raw", f"{web}/missing?key=secret")
    (first,) = waiting_copies()
    work()

    answer = root.post(f"{LIST}{image.pk}/transfers/{first}/retry/", follow=True)

    assert "Enter the URL again" in answer.content.decode()
    assert waiting_copies() == []


# Failures


def note_of(client: Client, image: Image) -> Any:
    """The note about a failure on the page of an image."""
    return client.get(f"{LIST}{image.pk}/change/").context["last_error"]


def test_a_failure_names_the_url_without_its_query_and_what_the_server_said(
    root: Client, failed: Callable[..., Image], web: str
) -> None:
    image = failed("gone.raw?key=secret")

    page = root.get(f"{LIST}{image.pk}/change/").content.decode()

    assert "Web download failed:" in page
    assert f"{web}/gone.raw?***" in page
    assert "it responded with 404 (Not Found)" in page
    assert "secret" not in page


def test_a_viewer_sees_a_failure_without_its_url(
    failed: Callable[..., Image], web: str, signed_in: Callable[..., Client]
) -> None:
    image = failed("gone.raw")

    page = signed_in("viewer").get(f"{LIST}{image.pk}/change/").content.decode()

    assert "it responded with 404 (Not Found)" in page
    assert web not in page


def test_the_first_step_after_a_failed_import_is_to_retry_it(
    root: Client, failed: Callable[..., Image]
) -> None:
    image = failed("gone.raw")
    note = note_of(root, image)
    retry, _change = note["steps"]
    assert (retry.label, retry.is_post, note["attempt"]) == ("Retry", True, 1)

    page = root.post(retry.url, follow=True).content.decode()
    assert "A background worker will download the data from" in page
    assert "Web download failed:" not in page

    work()
    assert note_of(root, image)["attempt"] == 2


def test_the_steps_after_a_failure_lead_back_to_the_filtered_list(
    root: Client, failed: Callable[..., Image]
) -> None:
    image = failed("gone.raw")
    transfer = Transfer.objects.get()
    query = "?_changelist_filters=status%3Dqueued&at=0"

    page = root.get(f"{LIST}{image.pk}/change/{query}")
    retry, change = page.context["last_error"]["steps"]
    response = root.post(retry.url)

    assert change.url == f"{LIST}{image.pk}/import/{query}&transfer={transfer.pk}"
    assert response["Location"] == f"{LIST}{image.pk}/change/{query}"


def test_a_url_with_a_query_is_entered_again_in_a_form_with_the_other_values(
    root: Client, failed: Callable[..., Image], web: str
) -> None:
    image = failed("gone.raw?key=secret")
    (step,) = note_of(root, image)["steps"]

    assert root.get(step.url).context["form"]["url"].value() == f"{web}/gone.raw"
    # Also from a page that was opened before.
    retry = f"{LIST}{image.pk}/transfers/{Transfer.objects.get().pk}/retry/"
    response = root.post(retry, follow=True)
    assert "The query of the URL is not kept" in response.content.decode()
    assert response.context["form"]["url"].value() == f"{web}/gone.raw"


def test_the_digest_that_a_person_gave_is_offered_again(
    root: Client, failed: Callable[..., Image]
) -> None:
    image = failed("disk.raw", digest="0" * 64)

    form = root.get(f"{LIST}{image.pk}/import/?transfer={Transfer.objects.get().pk}")

    assert form.context["form"]["digest"].value() == "0" * 64
    assert form.context["form"]["stores"].value() == ["local"]


def test_an_upload_that_failed_leads_to_another_one(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("queued")
    Transfer.objects.create(
        image=image,
        kind="stage",
        status="failed",
        store="local",
        key="refused",
        error="The data is not qcow2.",
        ended_at=timezone.now(),
    )

    (step,) = note_of(root, image)["steps"]

    assert step == ("Upload again", f"{LIST}{image.pk}/upload/", False)


def test_a_page_is_told_of_an_import_that_began_and_failed_between_two_polls(
    root: Client, failed: Callable[..., Image]
) -> None:
    image = failed("gone.raw")
    live = f"{LIST}{image.pk}/live/"
    before = root.get(live).json()["state"]

    root.post(f"{LIST}{image.pk}/transfers/{Transfer.objects.get().pk}/retry/")
    work()

    assert current(image).status == "queued"
    assert root.get(live).json()["state"] != before
