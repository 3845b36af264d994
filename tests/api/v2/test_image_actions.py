from __future__ import annotations

from typing import Any

import pytest

from images.models import Event, Image

DONE = {"deactivate": "deactivated", "reactivate": "active"}


def path(image: Image, action: str) -> str:
    return f"/v2/images/{image.pk}/actions/{action}"


def act(client: Any, image: Image, action: str, **extra: str) -> Any:
    # Not post(), which would send an empty form.
    return client.generic("POST", path(image, action), **extra)


@pytest.mark.parametrize("status", ["active", "deactivated"])
@pytest.mark.parametrize("action", DONE)
def test_an_action_can_be_repeated(
    action: str, status: str, api: Any, make_image: Any
) -> None:
    image = make_image(status)

    for _ in range(2):
        response = act(api.member, image, action)
        assert (response.status_code, response.content) == (204, b"")

    assert Image.objects.get().status == DONE[action]


@pytest.mark.parametrize("action", DONE)
@pytest.mark.parametrize(
    "status", ["queued", "saving", "uploading", "importing", "killed"]
)
def test_an_action_in_another_status_is_403(
    status: str, action: str, api: Any, make_image: Any
) -> None:
    image = make_image(status)

    response = act(api.admin, image, action)

    assert response.status_code == 403
    assert f"Not allowed to {action} image in status" in response.content.decode()
    assert Image.objects.get().status == status


@pytest.mark.parametrize(
    ("status", "action"), [("active", "deactivate"), ("deactivated", "reactivate")]
)
def test_the_reason_of_an_action_is_in_the_history(
    status: str, action: str, api: Any, make_image: Any
) -> None:
    image = make_image(status)
    reason = "für immer".encode().decode("latin-1")

    act(api.admin, image, action, HTTP_X_REASON=reason)

    assert [(it.verb, it.reason) for it in Event.objects.all()] == [
        (action, "für immer")
    ]


def test_the_reason_of_a_deletion_is_in_the_history(api: Any, make_image: Any) -> None:
    image = make_image("active")

    api.admin.delete(f"/v2/images/{image.pk}", HTTP_X_REASON="superseded")

    assert [(it.verb, it.reason) for it in Event.objects.all()] == [
        ("delete", "superseded")
    ]


@pytest.mark.parametrize("action", DONE)
def test_an_action_takes_no_body(action: str, api: Any, make_image: Any) -> None:
    url = path(make_image("active"), action)

    response = api.member.post(url, b"{}", content_type="application/json")

    assert response.status_code == 400


@pytest.mark.parametrize("action", DONE)
def test_a_content_type_without_a_body_harms_nobody(
    action: str, api: Any, make_image: Any
) -> None:
    image = make_image("active")

    response = act(api.member, image, action, CONTENT_TYPE="application/octet-stream")

    assert response.status_code == 204


def test_an_unknown_action_is_404(api: Any, make_image: Any) -> None:
    assert act(api.admin, make_image("active"), "explode").status_code == 404


@pytest.mark.parametrize("action", DONE)
@pytest.mark.parametrize("status", ["deleted", "pending_delete"])
def test_a_deleted_image_is_404(
    status: str, action: str, api: Any, make_image: Any
) -> None:
    assert act(api.admin, make_image(status), action).status_code == 404


def test_a_deactivated_image_can_be_described_and_deleted_but_not_filled(
    api: Any, make_image: Any, change: Any
) -> None:
    image = make_image("deactivated")
    url = f"/v2/images/{image.pk}"

    renamed = change(
        api.member, image, {"op": "replace", "path": "/name", "value": "new"}
    )
    filled = api.member.put(
        f"{url}/file", b"x", content_type="application/octet-stream"
    )

    assert (renamed.status_code, filled.status_code) == (200, 409)
    assert api.member.delete(url).status_code == 204


def test_an_action_leaves_one_event_however_often_it_is_asked_for(
    api: Any, make_image: Any
) -> None:
    image = make_image("active")

    for _ in range(2):
        act(api.member, image, "deactivate")

    event = Event.objects.get()
    assert (event.verb, event.to_status) == ("deactivate", "deactivated")
