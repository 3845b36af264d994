"""What goes beyond the Image API, over the wire: the history and the trash."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.servers import Service
from tests.wire.api import Api

DATA = b"the bytes of an image" * 1000


def ask(
    service: Service,
    path: str,
    method: str = "GET",
    reason: str = "",
    auth: tuple[str, str] | None = None,
) -> tuple[int, Any]:
    """The status and, where there is one, the document: curl -X METHOD -H 'X-Reason: …'."""
    with Api(service, auth) as session:
        headers = {"X-Reason": reason.encode()}
        answer = session.request(method, path, headers=headers)
    is_json = answer.headers["Content-Type"] == "application/json"
    return answer.status_code, answer.json() if is_json else None


@pytest.fixture
def image_id(api: Api) -> str:
    """An active image with a name of its own."""
    image_id = api.new(name=f"extension-{uuid4()}", tags=["kept"], os_distro="debian")
    assert api.upload(image_id, DATA).status_code == 204
    return image_id


@pytest.mark.usefixtures("no_traceback")
def test_a_deleted_image_is_listed_restored_and_downloaded(
    catalogue: Service, api: Api, image_id: str
) -> None:
    before = api.image(image_id)
    assert ask(catalogue, f"images/{image_id}", "DELETE") == (204, None)

    query = f"images?status=pending_delete&name={before['name']}"
    code, listed = ask(catalogue, query)
    assert (code, [image["id"] for image in listed["images"]]) == (200, [image_id])
    assert ask(catalogue, f"images/{image_id}")[0] == 404

    restore = f"images/{image_id}/actions/restore"
    assert ask(catalogue, restore, "POST", "aus Versehen gelöscht") == (204, None)
    assert ask(catalogue, restore, "POST")[0] == 409

    assert api.data(image_id) == DATA
    after = api.image(image_id)
    assert after == before | {"updated_at": after["updated_at"]}
    assert ask(catalogue, query)[1]["images"] == []


def test_the_trash_says_when_an_image_goes_for_good(
    catalogue: Service, api: Api, image_id: str
) -> None:
    name = api.image(image_id)["name"]
    api.delete(f"images/{image_id}")

    _, listed = ask(catalogue, f"images?status=pending_delete&name={name}")

    (image,) = listed["images"]
    deleted, scrub = (
        datetime.fromisoformat(image[key]) for key in ("deleted_at", "scrub_at")
    )
    assert (scrub - deleted).total_seconds() == 86400


def test_the_history_tells_the_whole_life_page_by_page(
    catalogue: Service, api: Api, image_id: str
) -> None:
    ask(catalogue, f"images/{image_id}", "DELETE")
    restore = f"images/{image_id}/actions/restore"
    ask(catalogue, restore, "POST", "a mistake")

    path, events = f"images/{image_id}/history?limit=2", []
    while path:
        code, page = ask(catalogue, path)
        assert code == 200
        events += page["history"]
        path = page.get("next", "").removeprefix("/v2/")

    assert [event["verb"] for event in events] == [
        "create",
        "upload",
        "receive",
        "delete",
        "restore",
    ]
    assert events[-1]["reason"] == "a mistake"
    assert {event["door"] for event in events} == {"v2"}
    assert events == sorted(events, key=lambda event: event["at"])


def test_a_failed_upload_leaves_its_reason(catalogue: Service, api: Api) -> None:
    image_id = api.new()
    answer = api.put(
        f"images/{image_id}/file",
        data=b"short",
        headers={
            "Content-Type": "application/octet-stream",
            "x-openstack-image-size": "9",
        },
    )
    assert answer.status_code == 400

    _, page = ask(catalogue, f"images/{image_id}/history")

    assert page["last_error"]["code"] == "size-mismatch"
    assert page["last_error"]["message"].startswith("Size mismatch")
    assert page["last_error"]["request_id"] == answer.headers["x-openstack-request-id"]


def test_a_member_reads_the_history_of_its_own_and_restores_nothing(
    catalogue: Service, api: Api, image_id: str, member: tuple[str, str]
) -> None:
    with Api(catalogue, member) as session:
        own = session.new(name=f"extension-{uuid4()}")
        session.upload(own, DATA)
        session.delete(f"images/{own}")

    assert ask(catalogue, f"images/{own}/history", auth=member)[0] == 200
    assert ask(catalogue, f"images/{image_id}/history", auth=member)[0] == 404
    query = "images?status=pending_delete"
    assert ask(catalogue, query, auth=member)[1]["images"] == []
    restore = f"images/{own}/actions/restore"
    assert ask(catalogue, restore, "POST", auth=member)[0] == 403
    assert ask(catalogue, restore, "POST")[0] == 204
