"""Random sequences of verbs, through several interfaces and with faults, against a plain model.

The model is a dictionary of what each image should be. Whatever the sequence, the catalogue
agrees with it, gives out the acknowledged bytes, and the check of consistency finds nothing.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
import hypothesis.strategies as st
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from imagecatalog.identity import first_user
from images import errors, imports, lifecycle, stores, uploads
from images.access import operator
from images.attributes import Changes
from images.imports import queue
from images.models import Image, ImageLocation, Transfer
from images.operations import consistency
from images.transfers import reaper
from tests.copies import waiting_copies
from tests.locations import remove_first
from tests.web import serving_files

# `make fuzz` tries more.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10"))
BY = operator("test")
CONTENTS = st.sampled_from([b"", b"one", b"two" * 1000])
INTERFACES = st.sampled_from(["verb", "v2", "v1"])
RAW = {
    "HTTP_X_IMAGE_META_DISK_FORMAT": "raw",
    "HTTP_X_IMAGE_META_CONTAINER_FORMAT": "bare",
}
SIGN_IN = {
    "HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"admin:of-this-test").decode()
}


class Killed(BaseException):
    """Stands for kill -9: nothing that the process would still have done is done."""


@dataclass
class Expected:
    status: str = "queued"
    data: bytes | None = None  # what is given out, or was acknowledged before (pin)
    before_delete: str = ""
    placeless: bool = False  # active without a location: there are no bytes
    copied: bytes | None = None  # what a worker is to fetch
    staged: bytes | None = None  # what a worker is to import when it is asked to


class LifeCycle(RuleBasedStateMachine):
    images: Bundle[str] = Bundle("images")
    web = ""  # where the bytes of CONTENTS can be fetched, by their lengths

    def __init__(self) -> None:
        super().__init__()
        Image.objects.all().delete()
        for key, _ in list(stores.default().keys()):
            stores.default().delete(key)
        self.model: dict[str, Expected] = {}
        self.client = Client()

    # Verbs

    @rule(target=images, interface=INTERFACES)
    def create(self, interface: str) -> str:
        fields = {"disk_format": "raw", "container_format": "bare"}
        if interface == "verb":
            image_id = lifecycle.create(fields, {}, [], BY).pk
        elif interface == "v1":
            response = self.client.generic("POST", "/v1/images", **RAW, **SIGN_IN)
            image_id = response.json()["image"]["id"]
        else:
            response = self.client.post(
                "/v2/images", fields, content_type="application/json", **SIGN_IN
            )
            image_id = response.json()["id"]
        self.model[image_id] = Expected()
        return str(image_id)

    @rule(target=images)
    def create_of_no_bytes(self) -> str:
        size = {"HTTP_X_IMAGE_META_SIZE": "0"}
        response = self.client.generic("POST", "/v1/images", **size, **RAW, **SIGN_IN)
        image_id = response.json()["image"]["id"]
        self.model[image_id] = Expected("active", b"", placeless=True)
        return str(image_id)

    def _put_v1(self, image_id: str, data: bytes, **headers: str) -> int:
        response = self.client.generic(
            "PUT",
            f"/v1/images/{image_id}",
            data,
            CONTENT_TYPE="application/octet-stream",
            **headers,
            **SIGN_IN,
        )
        return response.status_code

    @rule(image_id=images, data=CONTENTS, interface=INTERFACES)
    def upload(self, image_id: str, data: bytes, interface: str) -> None:
        expected = self.model[image_id]
        allowed = expected.status == "queued" and expected.data in (None, data)
        if interface == "verb" or not data:
            done = succeeds(lambda: lifecycle.upload(image_id, [data], BY))
        elif interface == "v1":
            code = self._put_v1(image_id, data)
            done = code == 200
            assert done or code in (403, 409)
        else:
            response = self.client.generic(
                "PUT",
                f"/v2/images/{image_id}/file",
                data,
                CONTENT_TYPE="application/octet-stream",
                **SIGN_IN,
            )
            done = response.status_code == 204
            assert done or response.status_code in (404, 409)
        assert done == allowed
        if done:
            expected.status, expected.data = "active", data

    @rule(image_id=images, data=CONTENTS)
    def copy(self, image_id: str, data: bytes) -> None:
        expected = self.model[image_id]
        url = f"{self.web}/{len(data)}"
        code = self._put_v1(image_id, b"", HTTP_X_GLANCE_API_COPY_FROM=url)
        waits = expected.status == "queued" and Transfer.objects.filter(
            image=image_id, status="waiting"
        )
        assert code in ((200, 409) if expected.status == "queued" else (400, 403))
        if code == 200:
            assert expected.copied is None
            expected.copied = data
        assert not waits or len(waits) == 1

    @rule(image_id=images, data=CONTENTS, interface=INTERFACES)
    def stage(self, image_id: str, data: bytes, interface: str) -> None:
        expected = self.model[image_id]
        if interface == "verb":
            done = succeeds(lambda: uploads.stage(image_id, [data], BY))
        else:
            response = self.client.put(
                f"/v2/images/{image_id}/stage",
                data,
                CONTENT_TYPE="application/octet-stream",
                **SIGN_IN,
            )
            done = response.status_code == 204
            assert done or response.status_code in (404, 409)
        fits = expected.data is None or len(expected.data) == len(data)
        # A request tells the size of its data, which a pinned image compares at once.
        assert done == (expected.status == "queued" and (fits or interface == "verb"))
        if done:
            expected.status, expected.staged = "uploading", data

    @rule(image_id=images, interface=INTERFACES)
    def import_staged(self, image_id: str, interface: str) -> None:
        expected = self.model[image_id]
        if interface == "verb":
            wanted = imports.ImportRequest("glance-direct")
            done = succeeds(lambda: imports.request_import(image_id, wanted, BY))
        else:
            response = self.client.post(
                f"/v2/images/{image_id}/import",
                {"method": {"name": "glance-direct"}},
                content_type="application/json",
                **SIGN_IN,
            )
            done = response.status_code == 202
            assert done or response.status_code in (404, 409)
        # A copy that waits is ended by the next worker.
        assert done == (expected.status == "uploading" and expected.copied is None)
        if done:
            expected.status = "importing"

    @rule(image_id=images, interface=INTERFACES)
    def deactivate(self, image_id: str, interface: str) -> None:
        self._act(image_id, "deactivate", interface, {"active", "deactivated"})

    @rule(image_id=images, interface=INTERFACES)
    def reactivate(self, image_id: str, interface: str) -> None:
        self._act(image_id, "reactivate", interface, {"active", "deactivated"})

    def _act(self, image_id: str, verb: str, interface: str, sources: set[str]) -> None:
        expected = self.model[image_id]
        if interface == "verb":
            done = succeeds(lambda: getattr(lifecycle, verb)(image_id, BY))
        else:
            # Version 1 has no such action.
            path = f"/v2/images/{image_id}/actions/{verb}"
            done = self.client.generic("POST", path, **SIGN_IN).status_code == 204
        assert done == (expected.status in sources)
        if done:
            expected.status = "deactivated" if verb == "deactivate" else "active"

    @rule(image_id=images)
    def remove_the_last_location(self, image_id: str) -> None:
        expected = self.model[image_id]
        done = succeeds(lambda: remove_first(image_id, BY))
        assert done == (expected.status == "active" and not expected.placeless)
        if done:
            expected.status = "queued"

    @rule(image_id=images, name=st.text("abc", max_size=3))
    def rename(self, image_id: str, name: str) -> None:
        done = succeeds(lambda: lifecycle.update(image_id, Changes({"name": name}), BY))
        assert done == (self.model[image_id].status not in DELETED)

    @rule(image_id=images, interface=INTERFACES)
    def delete(self, image_id: str, interface: str) -> None:
        expected = self.model[image_id]
        if interface == "verb":
            done = succeeds(lambda: lifecycle.delete(image_id, BY))
        else:
            response = self.client.delete(f"/{interface}/images/{image_id}", **SIGN_IN)
            done = response.status_code in (200, 204)
        assert done == (expected.status not in DELETED)
        expected.copied = None if done else expected.copied
        if done and expected.status in ("active", "deactivated"):
            expected.before_delete = expected.status
            expected.status = "pending_delete"
        elif done:
            expected.status = "deleted"

    @rule(image_id=images, interface=st.sampled_from(["verb", "command"]))
    def restore(self, image_id: str, interface: str) -> None:
        expected = self.model[image_id]
        if interface == "verb":
            done = succeeds(lambda: lifecycle.restore(image_id, BY))
        else:
            done = succeeds(
                lambda: call_command(
                    "image_restore", image_id, stdout=StringIO(), stderr=StringIO()
                )
            )
        assert done == (expected.status == "pending_delete")
        if done:
            expected.status = expected.before_delete

    @rule(image_id=images)
    def scrub(self, image_id: str) -> None:
        expected = self.model[image_id]
        done = succeeds(lambda: lifecycle.scrub(image_id, BY))
        assert done == (expected.status == "pending_delete")
        if done:
            expected.status = "deleted"

    # Faults

    @rule(image_id=images, error=st.sampled_from([errors.BodyIncomplete, OSError]))
    def upload_that_breaks_off(self, image_id: str, error: type[Exception]) -> None:
        def blocks() -> Iterator[bytes]:
            yield b"half"
            raise error("The client went away.")

        with pytest.raises((error, errors.Conflict, errors.NotFound)):
            lifecycle.upload(image_id, blocks(), BY)

    @rule(image_id=images, data=CONTENTS)
    def upload_of_other_bytes_than_announced(self, image_id: str, data: bytes) -> None:
        expected = self.model[image_id]
        wrong = {"HTTP_X_IMAGE_META_CHECKSUM": "0" * 32}
        code = self._put_v1(image_id, data or b"one", **wrong)
        assert code in ((400, 409) if expected.status == "queued" else (403, 409))
        # An image that had data stays queued: the same bytes can still be uploaded.
        if expected.status == "queued" and expected.data is None:
            expected.status = "killed"

    @rule(image_id=images, stored=st.booleans())
    def upload_whose_process_is_killed(self, image_id: str, stored: bool) -> None:
        expected = self.model[image_id]
        data = b"one" if expected.data is None else expected.data

        def blocks() -> Iterator[bytes]:
            yield data
            if not stored:
                raise Killed

        at = "images.transfers.leases.finish"
        killed = mock.patch(at, side_effect=Killed)
        silent = mock.patch("images.lifecycle.uploading._fail")
        with killed, silent:
            try:
                lifecycle.upload(image_id, blocks(), BY)
            except Killed:
                expected.status = "saving"
                Transfer.objects.filter(image=image_id, status="running").update(
                    heartbeat_at="2000-01-01T00:00:00Z", worker="elsewhere"
                )
            except errors.ImageError:
                assert expected.status != "queued"

    @rule(image_id=images)
    def scrub_while_the_store_is_away(self, image_id: str) -> None:
        with away():
            self.scrub(image_id)

    # What repairs

    @rule()
    def worker(self) -> None:
        reaper.reap(BY)
        lifecycle.remove_due_objects()
        for expected in self.model.values():
            if expected.status == "saving":
                expected.status = "queued"
        for transfer_id in waiting_copies():
            succeeds(lambda id=transfer_id: queue.carry_out(id))
        for expected in self.model.values():
            if expected.status != "importing":
                continue
            fits = expected.data in (None, expected.staged)
            expected.status = "active" if fits else "queued"
            expected.data = expected.staged if fits else expected.data
        for expected in self.model.values():
            data, expected.copied = expected.copied, None
            if data is None or expected.status != "queued":
                continue
            fits = expected.data in (None, data)
            # What has had data is not killed.
            expected.status = "active" if fits else "queued"
            expected.data = data if fits else expected.data

    # What always holds

    @invariant()
    def statuses_agree(self) -> None:
        found = dict(Image.objects.values_list("pk", "status"))
        assert found == {key: value.status for key, value in self.model.items()}

    @invariant()
    def acknowledged_bytes_are_given_out(self) -> None:
        for image_id, expected in self.model.items():
            if expected.status in ("active", "deactivated"):
                assert b"".join(lifecycle.read(image_id)) == expected.data
            else:
                with pytest.raises(errors.DataMissing):
                    lifecycle.read(image_id)

    def teardown(self) -> None:
        """After one round of the worker nothing is stuck, lost or left behind."""
        self.worker()
        make_due()
        lifecycle.remove_due_objects()
        self.statuses_agree()
        self.acknowledged_bytes_are_given_out()
        assert list(consistency.check(read_bytes=True)) == []


DELETED = ("pending_delete", "deleted")


def succeeds(act: Any) -> bool:
    try:
        act()
    except (
        errors.Conflict,
        errors.Forbidden,
        errors.Invalid,
        errors.NotFound,
        CommandError,
    ):
        return False
    return True


def away() -> Any:
    return mock.patch.object(
        settings, "IMAGECATALOG_STORES", "other=file:///tmp/nothing-is-here"
    )


def make_due() -> None:
    """Make all deletions due that were postponed because a store was unavailable."""
    ImageLocation.objects.filter(
        status="pending_delete", delete_after__isnull=False
    ).update(delete_after=timezone.now())


@pytest.fixture
def web(tmp_path: Path, settings: Any) -> Iterator[str]:
    """The URL of a web server that has each of CONTENTS under its length."""
    files = {str(len(data)): data for data in (b"", b"one", b"two" * 1000)}
    with serving_files(tmp_path / "web", settings, **files) as url:
        yield url


def test_no_sequence_of_verbs_and_faults_leads_astray(
    transactional_db: None, settings: Any, data_dir: Path, web: str
) -> None:
    LifeCycle.web = web
    settings.IMAGECATALOG_ADMIN_PASSWORD = "of-this-test"
    first_user.ensure()

    run_state_machine_as_test(
        LifeCycle,
        settings=hypothesis.settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
