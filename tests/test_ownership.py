"""Rule file × verb × ownership × visibility: no rule lets a project change another's images.

The verbs are those of the routes: a new one fails until it is in the table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, product
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern

from images import errors, lifecycle, uploads
from images.access import LIMITS, RULES, Caller, implied, rules
from images.api import authentication
from images.api.v1 import urls as v1_urls
from images.api.v2 import urls as v2_urls
from images.api.v2.patch import V2_1
from images.attributes import Changes
from images.models import Image, Member, MetadefNamespace, MetadefResourceType

MINE, THEIRS = "project-of-the-caller", "another-project"
VISIBILITIES = ("private", "shared", "community", "public")
OWNERSHIPS = ("member", "foreign", "nobody's")
READING = ("get_", "download_", "fetch_")

CHANGING = [name for name in RULES if not name.startswith(READING)]
WIDEST = "everything that changes an image"
FILES = {
    "as Glance once shipped it": {
        "modify_image": "",
        "delete_image": "",
        "upload_image": "",
        "deactivate": "",
        "reactivate": "",
    },
    WIDEST: dict.fromkeys(CHANGING, ""),
    "also what shows images": dict.fromkeys(RULES, "@"),
}

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = "application/octet-stream"
LOCATION = {"url": "http://127.0.0.1:9/x", "metadata": {}}
URL = "http://93.184.215.14/x"  # which the filter allows, and nobody asks

Answer = Any
Do = Callable[[Client, Image], Answer]


def patched(op: str, path: str, value: Any = None) -> Do:
    operation = {"op": op, "path": path, "value": value}
    return lambda client, image: client.patch(
        f"/v2/images/{image.pk}", json.dumps([operation]), content_type=V2_1
    )


def sent(method: str, path: str, body: Any = "", **headers: str) -> Do:
    """A request; ``{id}`` and ``{upload}`` in the path are the image's."""
    text = body if isinstance(body, str) else json.dumps(body)
    content_type = headers.pop("content_type", "application/json" if text else "")

    def do(client: Client, image: Image) -> Answer:
        upload = image.transfers.values_list("pk", flat=True).first()
        return client.generic(
            method,
            path.format(id=image.pk, upload=upload),
            text,
            content_type,
            headers={name.replace("_", "-"): it for name, it in headers.items()},
        )

    return do


V1, V2 = "/v1/images/{id}", "/v2/images/{id}"
# verb -> (status of the image, requests)
VERBS: dict[str, tuple[str, list[Do]]] = {
    "v2 ImageViewSet.create": (
        "active",
        [sent("POST", "/v2/images", {"owner": THEIRS})],
    ),
    "v2 ImageViewSet.partial_update": (
        "active",
        [
            patched("replace", "/name", "x"),
            patched("add", "/colour", "red"),
            patched("replace", "/visibility", "public"),
            patched("replace", "/visibility", "community"),
            patched("replace", "/owner", MINE),
            patched("replace", "/protected", True),
            patched("replace", "/os_hidden", True),
            patched("replace", "/tags", ["x"]),
            patched("add", "/locations/-", LOCATION),
            patched("remove", "/locations/0"),
            patched("replace", "/locations", []),
        ],
    ),
    "v2 ImageViewSet.destroy": ("active", [sent("DELETE", V2)]),
    "v2 ImageStoreViewSet.destroy": (
        "active",
        [sent("DELETE", "/v2/stores/local/{id}")],
    ),
    "v2 ImageCacheViewSet.update": ("active", [sent("PUT", "/v2/cache/{id}")]),
    "v2 ImageCacheViewSet.destroy": ("active", [sent("DELETE", "/v2/cache/{id}")]),
    "v2 ImageCacheViewSet.clear": ("active", [sent("DELETE", "/v2/cache")]),
    "v2 ImageCacheViewSet.clean": ("active", [sent("POST", "/v2/cache/clean")]),
    "v2 ImageCacheViewSet.prune": ("active", [sent("POST", "/v2/cache/prune")]),
    "v2 ImageTagViewSet.update": ("active", [sent("PUT", f"{V2}/tags/x")]),
    "v2 ImageTagViewSet.destroy": ("active", [sent("DELETE", f"{V2}/tags/green")]),
    "v2 ImageActionViewSet.deactivate": (
        "active",
        [sent("POST", f"{V2}/actions/deactivate")],
    ),
    "v2 ImageActionViewSet.reactivate": (
        "deactivated",
        [sent("POST", f"{V2}/actions/reactivate")],
    ),
    "v2 ImageActionViewSet.restore": (
        "pending_delete",
        [sent("POST", f"{V2}/actions/restore")],
    ),
    "v2 ImageMemberViewSet.create": (
        "active",
        [sent("POST", f"{V2}/members", {"member": "x"})],
    ),
    "v2 ImageMemberViewSet.update": (
        "active",
        [sent("PUT", f"{V2}/members/third", {"status": "accepted"})],
    ),
    "v2 ImageMemberViewSet.destroy": (
        "active",
        [sent("DELETE", f"{V2}/members/third")],
    ),
    "v2 ImageDataView.put": (
        "queued",
        [sent("PUT", f"{V2}/file", "bytes", content_type=BYTES)],
    ),
    "v2 ImageStageView.put": (
        "queued",
        [sent("PUT", f"{V2}/stage", "bytes", content_type=BYTES)],
    ),
    "v2 ImageImportViewSet.create": (
        "uploading",
        [sent("POST", f"{V2}/import", {"method": {"name": "glance-direct"}})],
    ),
    "v2 TaskViewSet.create": (
        "active",
        [
            sent(
                "POST",
                "/v2/tasks",
                {
                    "type": "import",
                    "input": {
                        "import_from": "http://127.0.0.1:9/x",
                        "import_from_format": "raw",
                        "image_properties": {"owner": THEIRS},
                    },
                },
            )
        ],
    ),
    "v2 UploadsView.post": (
        "queued",
        [sent("POST", f"{V2}/uploads", Upload_Length="5", **TUS)],
    ),
    "v2 UploadView.patch": (
        "uploading",
        [
            sent(
                "PATCH",
                f"{V2}/uploads/{{upload}}",
                "bytes",
                content_type="application/offset+octet-stream",
                Upload_Offset="0",
                Content_Length="5",
                **TUS,
            )
        ],
    ),
    "v2 UploadView.delete": (
        "uploading",
        [sent("DELETE", f"{V2}/uploads/{{upload}}", **TUS)],
    ),
    "v2 ImageLocationViewSet.create": (
        "queued",
        [sent("POST", f"{V2}/locations", {"url": LOCATION["url"]})],
    ),
    "v1 ImageViewSet.create": (
        "active",
        [sent("POST", "/v1/images", x_image_meta_owner=THEIRS)],
    ),
    "v1 ImageRootViewSet.create": (
        "active",
        [sent("POST", "/v1/", x_image_meta_owner=THEIRS)],
    ),
    "v1 ImageViewSet.update": (
        "active",
        [
            sent("PUT", V1, x_image_meta_name="x"),
            sent("PUT", V1, x_image_meta_is_public="true"),
            sent("PUT", V1, x_image_meta_owner=MINE),
            sent("PUT", V1, x_image_meta_property_colour="red"),
            sent("PUT", V1, "bytes", content_type=BYTES),
        ],
    ),
    "v1 ImageViewSet.destroy": ("active", [sent("DELETE", V1)]),
    "v1 ImageMemberViewSet.replace": (
        "active",
        [sent("PUT", f"{V1}/members", {"memberships": [{"member_id": "x"}]})],
    ),
    "v1 ImageMemberViewSet.update": ("active", [sent("PUT", f"{V1}/members/x")]),
    "v1 ImageMemberViewSet.destroy": (
        "active",
        [sent("DELETE", f"{V1}/members/third")],
    ),
}
# Verbs of metadata definitions: on a namespace that belongs to whom the image belongs.
NAMESPACE = "/v2/metadefs/namespaces"
THEIRS_TREE = {"namespace": "New", "owner": THEIRS}
BUS = {"name": "bus", "title": "Bus", "type": "string"}
OF_DEFINITIONS = {
    "NamespaceViewSet.create": sent("POST", NAMESPACE, THEIRS_TREE),
    "NamespaceViewSet.update": sent("PUT", f"{NAMESPACE}/N", {"namespace": "X"}),
    "NamespaceViewSet.destroy": sent("DELETE", f"{NAMESPACE}/N"),
    "ObjectViewSet.create": sent("POST", f"{NAMESPACE}/N/objects", {"name": "x"}),
    "ObjectViewSet.update": sent("PUT", f"{NAMESPACE}/N/objects/o", {"name": "x"}),
    "ObjectViewSet.destroy": sent("DELETE", f"{NAMESPACE}/N/objects/o"),
    "ObjectViewSet.clear": sent("DELETE", f"{NAMESPACE}/N/objects"),
    "PropertyViewSet.create": sent("POST", f"{NAMESPACE}/N/properties", BUS),
    "PropertyViewSet.update": sent("PUT", f"{NAMESPACE}/N/properties/p", BUS),
    "PropertyViewSet.destroy": sent("DELETE", f"{NAMESPACE}/N/properties/p"),
    "PropertyViewSet.clear": sent("DELETE", f"{NAMESPACE}/N/properties"),
    "TagViewSet.create": sent("POST", f"{NAMESPACE}/N/tags", {"tags": []}),
    "TagViewSet.add": sent("POST", f"{NAMESPACE}/N/tags/x"),
    "TagViewSet.update": sent("PUT", f"{NAMESPACE}/N/tags/t", {"name": "x"}),
    "TagViewSet.destroy": sent("DELETE", f"{NAMESPACE}/N/tags/t"),
    "TagViewSet.clear": sent("DELETE", f"{NAMESPACE}/N/tags"),
    "AssociationViewSet.create": sent(
        "POST", f"{NAMESPACE}/N/resource_types", {"name": "OS::X"}
    ),
    "AssociationViewSet.destroy": sent(
        "DELETE", f"{NAMESPACE}/N/resource_types/OS::Glance::Image"
    ),
}
VERBS |= {f"v2 {verb}": ("active", [do]) for verb, do in OF_DEFINITIONS.items()}
# API v1 ignores an owner that the caller may not choose: the new image is the caller's own.
IGNORE_OWNER = {"v1 ImageViewSet.create", "v1 ImageRootViewSet.create"}
# What members of a shared image may do where the operator's rule allows it.
OF_MEMBERS = {"v2 ImageMemberViewSet.create"}


def routes() -> Iterator[str]:
    """The changing verbs of API v1 and v2, as ``interface View.method``."""
    for interface, urls in (("v1", v1_urls), ("v2", v2_urls)):
        for route in urls.urlpatterns:
            yield from (f"{interface} {verb}" for verb in verbs_of(route))


def verbs_of(route: URLPattern) -> Iterator[str]:
    view = route.callback.cls
    actions = getattr(route.callback, "actions", None) or {
        method: method for method in view.http_method_names if hasattr(view, method)
    }
    for method, action in actions.items():
        if method not in ("get", "head", "options"):
            yield f"{view.__name__}.{action}"


def test_every_changing_verb_is_in_the_table() -> None:
    assert set(routes()) == VERBS.keys()


def test_every_rule_has_a_limit() -> None:
    assert LIMITS.keys() == RULES.keys()


@pytest.fixture
def policy(
    request: pytest.FixtureRequest, tmp_path: Path, settings: Any
) -> Iterator[None]:
    path = tmp_path / "policy.yaml"
    path.write_text(json.dumps(FILES[getattr(request, "param", WIDEST)]))
    rules._overrides.cache_clear()
    settings.IMAGECATALOG_POLICY_FILE = str(path)
    yield
    rules._overrides.cache_clear()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Client:
    """A client of a caller with the role member in MINE."""
    settings.IMAGECATALOG_CACHE_DIR = str(tmp_path / "cache")
    settings.IMAGECATALOG_DELAYED_DELETE = True
    caller = Caller("alice", MINE, implied("member"), interface="v2")
    monkeypatch.setitem(authentication.MODES, "embedded", lambda request: caller)
    return Client()


@pytest.fixture
def image_of(make_image: Any) -> Callable[..., Image]:
    def make(visibility: str, ownership: str, status: str) -> Image:
        owner = {"own": MINE, "nobody's": None}.get(ownership, THEIRS)
        before = "queued" if status == "uploading" else status
        image = make_image(before, visibility=visibility, owner=owner, tags=["green"])
        image.members.create(member="third")
        if ownership == "member":
            image.members.create(member=MINE, status="accepted")
        add_namespace(visibility, owner)
        if status == "uploading":
            root = Caller("root", None, implied("admin"), interface="v2")
            uploads.begin(image.pk, 5, root)
        return image

    return make


def add_namespace(visibility: str, owner: str | None) -> None:
    """A namespace with content, which all see or only its owner."""
    shown = "public" if visibility in ("public", "community") else "private"
    MetadefNamespace.objects.all().delete()
    namespace = MetadefNamespace.objects.create(
        namespace="N", owner=owner or "", visibility=shown
    )
    namespace.metadef_objects.create(name="o")
    namespace.properties.create(name="p")
    namespace.tags.create(name="t")
    kind, _ = MetadefResourceType.objects.get_or_create(name="OS::Glance::Image")
    namespace.associations.create(resource_type=kind)


def definitions() -> Iterator[Any]:
    """All metadata definitions."""
    yield list(MetadefNamespace.objects.order_by("pk").values())
    yield list(MetadefResourceType.objects.order_by("pk").values())
    for namespace in MetadefNamespace.objects.order_by("pk"):
        for rows in (
            namespace.metadef_objects,
            namespace.properties,
            namespace.tags,
            namespace.associations,
        ):
            yield list(rows.order_by("pk").values())


def state(image: Image) -> list[Any]:
    """All of an image, and all definitions, that a verb could change."""
    return [
        *definitions(),
        Image.objects.filter(pk=image.pk).values().get(),
        *(
            list(related.order_by("pk").values())
            for related in (image.members, image.locations, image.transfers)
        ),
        Image.objects.filter(owner=THEIRS).count(),
    ]


def status_of(verb: str) -> str:
    return VERBS[verb][0]


def requests_of(verbs: Iterable[str]) -> Iterator[tuple[str, int, Do]]:
    """Each request of these verbs, with its verb and its number there."""
    for verb in verbs:
        for number, do in enumerate(VERBS[verb][1]):
            yield verb, number, do


def undone(
    do: Do, client: Client, image: Image, before: list[Any] | None = None
) -> tuple[int, bool]:
    """The status code, and whether the state ``before`` was changed; in a savepoint."""
    before = before or state(image)
    with transaction.atomic():
        response = do(client, image)
        changed = state(image) != before
        transaction.set_rollback(True)
    return response.status_code, changed


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(
    ("policy", "visibility", "ownership"),
    [
        *product([WIDEST], VISIBILITIES, OWNERSHIPS),
        *product(sorted(FILES.keys() - {WIDEST}), ["public"], ["foreign"]),
    ],
    indirect=["policy"],
)
def test_no_rule_lets_a_project_change_another_s_image(
    policy: None, client: Client, image_of: Any, visibility: str, ownership: str
) -> None:
    wrong = []
    of_members = (visibility, ownership) == ("shared", "member")
    verbs = VERBS.keys() - (OF_MEMBERS if of_members else set())
    for status, same in groupby(sorted(verbs, key=status_of), status_of):
        image = image_of(visibility, ownership, status)
        before = state(image)
        for verb, number, do in requests_of(same):
            codes = (201,) if verb in IGNORE_OWNER else (403, 404)
            code, changed = undone(do, client, image, before)
            if changed or code not in codes:
                wrong.append((verb, number, code, changed))

    assert wrong == []


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_the_same_verbs_reach_an_image_of_one_s_own(
    policy: None, client: Client, image_of: Any, visibility: str
) -> None:
    for verb in ("v2 ImageViewSet.partial_update", "v2 ImageTagViewSet.update"):
        status, (do, *_) = VERBS[verb]
        code, changed = undone(do, client, image_of(visibility, "own", status))
        assert (code in (200, 204), changed) == (True, True), verb
    for verb in ("v2 ImageDataView.put", "v2 UploadsView.post", "v2 UploadView.delete"):
        status, (do,) = VERBS[verb]
        code, changed = undone(do, client, image_of(visibility, "own", status))
        assert (code in (201, 204), changed) == (True, True), verb


def test_a_rule_lets_a_project_change_a_namespace_of_its_own(
    policy: None, client: Client, image_of: Any
) -> None:
    image = image_of("private", "own", "active")

    for verb, do in OF_DEFINITIONS.items():
        if verb != "NamespaceViewSet.create":  # which is for another project
            code, changed = undone(do, client, image)
            assert (code in (200, 201, 204), changed) == (True, True), verb


def test_members_may_leave_and_share_on_where_the_rule_allows_it(
    policy: None, client: Client, image_of: Any
) -> None:
    image = image_of("shared", "member", "active")
    share = sent("POST", f"{V2}/members", {"member": "x"})
    leave = sent("DELETE", f"{V2}/members/{MINE}")

    assert (share(client, image).status_code, leave(client, image).status_code) == (
        200,
        204,
    )
    assert set(Member.objects.values_list("member", flat=True)) == {"third", "x"}


def test_an_image_that_is_taken_over_during_a_request_is_not_changed_by_it(
    image_of: Any,
) -> None:
    image = image_of("private", "own", "queued")
    former = Caller("alice", MINE, implied("member"), interface="v2")
    Image.objects.filter(pk=image.pk).update(owner=THEIRS)
    before = state(image)
    attempts: list[Callable[[], Any]] = [
        lambda: lifecycle.update(image.pk, Changes({"owner": MINE}), former),
        lambda: lifecycle.tag(image.pk, "x", former),
        lambda: lifecycle.untag(image.pk, "green", former),
        lambda: lifecycle.upload(image.pk, [b"x"], former),
        lambda: lifecycle.delete(image.pk, former),
        lambda: lifecycle.deactivate(image.pk, former),
        lambda: lifecycle.reactivate(image.pk, former),
        lambda: uploads.begin(image.pk, 5, former),
        lambda: lifecycle.request_location(image.pk, URL, {}, former, {}),
    ]

    for attempt in attempts:
        with pytest.raises(errors.Forbidden, match="another project by now"):
            attempt()

    assert state(image) == before


def test_an_upload_ends_without_data_in_an_image_that_was_taken_over(
    image_of: Any,
) -> None:
    image = image_of("private", "own", "queued")
    former = Caller("alice", MINE, implied("member"), interface="v2")

    def blocks() -> Iterator[bytes]:
        yield b"x"
        Image.objects.filter(pk=image.pk).update(owner=THEIRS)

    with pytest.raises(errors.Forbidden, match="another project by now"):
        lifecycle.upload(image.pk, blocks(), former)

    image = Image.objects.get(pk=image.pk)
    assert (image.status, image.locations.count()) == ("queued", 0)
