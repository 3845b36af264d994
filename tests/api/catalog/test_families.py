"""``/catalog/v1/families``: names that always mean one image."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from images.models import Event, Family, FamilyEvent, FamilyVersion, Image
from images.models.family import natural_key
from tests.api.catalog.conftest import FAMILIES, JSON, ONE


def patch(client: Any, path: str, body: Any, **headers: str) -> Any:
    return client.patch(path, body, content_type=JSON, headers=headers)


def by_name(client: Any, name: str = "debian-13") -> list[str]:
    """The ids of the images that a stock client finds by this name."""
    return [it["id"] for it in client.get(f"/v2/images?name={name}").json()["images"]]


def shown(client: Any, image: Image) -> Any:
    return client.get(f"/v2/images/{image.pk}").json()


# The resource


def test_the_features_are_listed(api: Any) -> None:
    features = api.reader.get("/catalog/v1").json()

    assert features["version"] == "1.0"
    assert features["features"]["families"] is True


def test_a_family_is_created_and_shown(api: Any, family: Any) -> None:
    made = family(title="Debian 13", template={"min_disk": 2, "tags": ["b", "a"]})

    response = api.reader.get(ONE)

    assert (
        response.json()
        == made
        == {
            "id": str(Family.objects.get().pk),
            "name": "debian-13",
            "owner": "project-a",
            "scope": "project",
            "title": "Debian 13",
            "description": "",
            "homepage": "",
            "architecture": "x86_64",
            "image_name": "debian-13",
            "naming": "same",
            "name_separator": " ",
            "hide_old": True,
            "visibility": "keep",
            "verified_only": False,
            "publish": False,
            "retention": None,
            "template": {"min_disk": 2, "tags": ["a", "b"]},
            "current": None,
            "created_at": made["created_at"],
            "updated_at": made["created_at"],
            "version": 1,
        }
    )
    assert response.headers["ETag"] == '"1"'
    assert api.reader.get(f"{FAMILIES}/{made['id']}").json() == made


@pytest.mark.once
@pytest.mark.parametrize(
    "values",
    [
        {"name": "Debian"},
        {"name": "-x"},
        {"name": "7ce89b25-0ce3-4a4e-8d0b-0a3c4f0f2a11"},
        {"name": None},
        {"architecture": ""},
        {"naming": "both"},
        {"hide_old": False},  # two images of one name
        {"homepage": "javascript:alert(1)"},
        {"image_name": "x" * 181},
        {"visibility": "secret"},
        {"template": {"disk": 1}},
        {"template": {"properties": {"image_family": "x"}}},
        {"template": []},
        {"template": {"aliases": "debian"}},
        {"template": {"aliases": ["debian"] * 17}},
        {"template": {"osinfo_id": "debian 13"}},
        {"publish": "yes"},
        {"colour": "red"},
        {"version": 2},
    ],
)
def test_bad_values_of_a_family_are_400(values: Any, api: Any, post: Any) -> None:
    whole = {"name": "a", "architecture": "x86_64", **values}

    response = post(api.member, FAMILIES, **whole)

    assert response.status_code == 400
    assert not Family.objects.exists()


def test_an_unknown_value_is_named(api: Any, post: Any) -> None:
    response = post(api.member, FAMILIES, name="a", architecture="x", colour="red")

    assert "colour" in response.content.decode()


def test_a_name_is_taken_once_in_a_project_and_once_in_public(
    api: Any, family: Any, post: Any
) -> None:
    family()
    whole = {"name": "debian-13", "architecture": "x86_64"}

    assert post(api.member, FAMILIES, **whole).status_code == 409
    assert post(api.stranger, FAMILIES, **whole).status_code == 201
    public = {**whole, "scope": "public"}
    assert post(api.admin, FAMILIES, **public).status_code == 201
    assert post(api.admin, FAMILIES, **public, owner="x").status_code == 409


def test_who_creates_and_publishes_families(api: Any, post: Any) -> None:
    whole = {"name": "a", "architecture": "x86_64"}

    assert post(api.reader, FAMILIES, **whole).status_code == 403
    for values in ({"scope": "public"}, {"visibility": "public"}, {"owner": "other"}):
        assert post(api.member, FAMILIES, **whole, **values).status_code == 403
    assert post(api.member, FAMILIES, **whole).status_code == 201


def test_a_family_of_another_project_is_404(api: Any, family: Any, post: Any) -> None:
    family()

    assert api.stranger.get(ONE).status_code == 404
    assert post(api.stranger, f"{ONE}/promote", version="1").status_code == 404
    assert api.stranger.get(FAMILIES).json()["families"] == []


def test_a_public_family_is_seen_by_all_and_changed_by_its_project(
    api: Any, family: Any
) -> None:
    family(scope="public")

    assert api.stranger.get(ONE).status_code == 200
    assert patch(api.stranger, ONE, {"title": "x"}).status_code == 403
    assert patch(api.member, ONE, {"title": "x"}).status_code == 200


def test_only_who_may_publish_renames_a_public_family(api: Any, family: Any) -> None:
    family(scope="public")

    assert patch(api.member, ONE, {"name": "ubuntu"}).status_code == 403
    assert patch(api.admin, ONE, {"name": "ubuntu"}).status_code == 200


def test_a_name_means_the_family_of_the_own_project_first(
    api: Any, family: Any, post: Any
) -> None:
    public = family(scope="public")
    own = post(api.stranger, FAMILIES, name="debian-13", architecture="x86_64").json()

    assert api.stranger.get(ONE).json()["id"] == own["id"]
    assert api.reader.get(ONE).json()["id"] == public["id"]


def test_a_policy_file_hides_families(api: Any, family: Any, policy: Any) -> None:
    family()

    policy('get_family: "role:admin"')

    assert api.member.get(ONE).status_code == 404
    assert api.member.get(FAMILIES).json()["families"] == []
    assert api.admin.get(ONE).status_code == 200


def test_a_policy_file_that_hides_families_does_not_end_the_list(
    api: Any, family: Any, policy: Any
) -> None:
    hidden = family("a", scope="public")
    for name in ("b", "c"):
        family(name)

    policy("""get_family: "'private':%(visibility)s" """)

    first = api.reader.get(f"{FAMILIES}?limit=1").json()
    assert hidden["id"] not in str(first)
    second = api.reader.get(first["next"]).json()
    assert [it["families"][0]["name"] for it in (first, second)] == ["b", "c"]


def test_a_policy_file_hides_versions(
    api: Any, family: Any, add: Any, policy: Any
) -> None:
    family()
    add("1")
    add("2", visibility="public")

    policy("""get_image: "'public':%(visibility)s" """)

    listed = api.member.get(f"{ONE}/versions").json()["versions"]
    assert [it["label"] for it in listed] == ["2"]


def test_families_are_listed_page_by_page(api: Any, family: Any) -> None:
    for name in ("c", "a", "b"):
        family(name)

    first = api.reader.get(f"{FAMILIES}?limit=2").json()
    second = api.reader.get(first["next"]).json()

    assert [it["name"] for it in first["families"]] == ["a", "b"]
    assert [it["name"] for it in second["families"]] == ["c"]
    assert "next" not in second
    assert api.reader.get(f"{FAMILIES}?limit=0").status_code == 400


def test_a_family_is_found_by_its_image(api: Any, family: Any, add: Any) -> None:
    family()
    family("other")
    image = add("1")

    (found,) = api.reader.get(f"{FAMILIES}?image={image.pk}").json()["families"]

    assert found["name"] == "debian-13"


def test_a_change_needs_the_version_that_if_match_names(
    api: Any, family: Any, post: Any
) -> None:
    family()
    changed = patch(api.member, ONE, {"title": "x"}, if_match='"1"')
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')

    assert patch(api.member, ONE, {"title": "y"}, if_match='"1"').status_code == 412
    assert api.member.delete(ONE, headers={"if-match": '"1"'}).status_code == 412
    stale = {"if-match": 'W/"2"'}
    body = {"content_type": JSON, "headers": stale}
    assert api.member.post(f"{ONE}/rollback", **body).status_code == 412

    assert Family.objects.get().title == "x"
    assert patch(api.member, ONE, {"title": "y"}, if_match="*").status_code == 200


def test_what_a_family_is_for_cannot_change(api: Any, family: Any) -> None:
    family()

    for name in ("owner", "architecture", "id", "current"):
        assert patch(api.member, ONE, {name: "x"}).status_code == 400


def test_null_restores_a_default(api: Any, family: Any) -> None:
    family(image_name="Debian 13", title="x")

    changed = patch(api.member, ONE, {"image_name": None, "title": None}).json()

    assert (changed["image_name"], changed["title"]) == ("debian-13", "")


def test_a_family_is_deleted_and_its_images_stay(
    api: Any, family: Any, add: Any
) -> None:
    family()
    old, new = add("1", promote=True), add("2", promote=True)

    assert api.member.delete(ONE).status_code == 204

    assert api.member.get(ONE).status_code == 404
    for image, hidden in ((old, True), (new, False)):
        document = shown(api.reader, image)
        assert not {"image_family", "image_version"} & document.keys()
        assert (document["name"], document["os_hidden"]) == ("debian-13", hidden)
    assert not FamilyVersion.objects.exists()
    assert api.member.delete(f"/v2/images/{new.pk}").status_code == 204


# Versions


def test_an_image_joins_as_a_hidden_candidate(api: Any, family: Any, add: Any) -> None:
    family()

    image = add("1", name="mine")

    document = shown(api.reader, image)
    assert document["image_family"] == "debian-13"
    assert document["image_version"] == "1"
    assert (document["name"], document["os_hidden"]) == ("debian-13", True)


def test_a_version_is_labelled_with_its_build_date(
    api: Any, family: Any, post: Any, make_image: Any
) -> None:
    family()
    built = {"image_build_date": "2026-01-31 10:00"}
    images = [make_image("active", properties=built) for _ in range(3)]

    labels = [
        post(api.member, f"{ONE}/versions", image=it.pk).json()["label"]
        for it in images
    ]

    assert labels == ["20260131", "20260131.1", "20260131.2"]


def test_versions_are_listed_newest_first(api: Any, family: Any, add: Any) -> None:
    family()
    digest = {"image_build_date": "2026-01-31"}
    for label in ("9.10", "9.9"):
        add(label, properties=digest)
    current = add("1", promote=True, properties={"image_build_date": "2027-01-01"})

    first = api.reader.get(f"{ONE}/versions?limit=2").json()
    second = api.reader.get(first["next"]).json()

    found = [*first["versions"], *second["versions"]]
    assert [it["label"] for it in found] == ["1", "9.10", "9.9"]
    assert "next" not in second
    newest = found[0]
    assert newest.pop("promoted_at")
    assert newest.pop("added_at")
    assert newest == {
        "label": "1",
        "image": current.pk,
        "state": "current",
        "build_date": "2027-01-01",
        "withdrawn": False,
        "note": "",
        "status": "active",
        "size": current.size,
        "digests": {"md5": current.checksum, "sha512": current.os_hash_value},
    }


def test_numbers_in_labels_have_their_natural_order() -> None:
    labels = ["9.2", "9.10", "10", "10.0-rc1", "a2", "a10"]

    assert sorted(labels, key=natural_key) == labels


@pytest.mark.parametrize("state", ["candidate", "current", "old", "withdrawn"])
def test_versions_are_filtered_by_state(
    state: str, api: Any, family: Any, add: Any
) -> None:
    family()
    add("candidate")
    add("old", promote=True)
    add("withdrawn", promote=True)
    add("current", promote=True)
    assert patch(api.member, f"{ONE}/versions/withdrawn", {"withdrawn": True}).json()

    (found,) = api.reader.get(f"{ONE}/versions?state={state}").json()["versions"]

    assert found["label"] == found["state"] == state


def test_other_projects_see_only_the_versions_whose_images_they_see(
    api: Any, family: Any, add: Any
) -> None:
    family(scope="public")
    add("1", visibility="private")
    add("2", visibility="public")
    gone = add("3", visibility="public")
    api.member.delete(f"/v2/images/{gone.pk}")

    def labels(client: Any) -> list[str]:
        versions = client.get(f"{ONE}/versions").json()["versions"]
        return [it["label"] for it in versions]

    assert labels(api.stranger) == ["2"]
    assert sorted(labels(api.reader)) == ["1", "2", "3"]


def test_an_image_that_cannot_join_is_409(
    api: Any, family: Any, add: Any, post: Any, make_image: Any
) -> None:
    family()
    family("other")
    image = add("1")
    arm = make_image("active", properties={"architecture": "aarch64"})
    deleted = make_image("pending_delete")

    def status(image: Image, **values: Any) -> int:
        path = f"{FAMILIES}/other/versions"
        return post(api.member, path, image=image.pk, **values).status_code  # type: ignore[no-any-return]

    assert status(image) == status(arm) == status(deleted) == 409
    add("1", ref="other")
    assert status(make_image(), label="1") == 409
    assert status(make_image(), promote=True) == 409  # it is not active
    assert FamilyVersion.objects.count() == 2


def test_an_image_of_another_project_is_added_by_admins_only(
    api: Any, family: Any, post: Any, make_image: Any
) -> None:
    family()
    public, private = (
        make_image("active", owner="project-b", visibility=it)
        for it in ("public", "private")
    )

    def status(client: Any, image: Image) -> int:
        return post(client, f"{ONE}/versions", image=image.pk).status_code  # type: ignore[no-any-return]

    # Admins of another project name the family by its id.
    assert status(api.member, public) == 403
    assert status(api.member, private) == 404
    assert status(api.admin, public) == 201


@pytest.mark.once
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"image": 7},
        {"label": "-"},
        {"build_date": "2026"},
        {"promote": "yes"},
        {"x": 1},
    ],
)
def test_a_malformed_version_is_400(
    body: Any, api: Any, family: Any, post: Any, make_image: Any
) -> None:
    family()
    whole = {"image": make_image("active").pk, **body} if body else {}

    assert post(api.member, f"{ONE}/versions", **whole).status_code == 400
    assert not FamilyVersion.objects.exists()


@pytest.mark.parametrize(
    ("wins", "disk", "bus"), [(False, 9, "ide"), (True, 2, "scsi")]
)
def test_an_image_that_joins_gets_the_values_of_the_template(
    wins: bool, disk: int, bus: str, api: Any, family: Any, add: Any
) -> None:
    template = {
        "properties": {"hw_disk_bus": "scsi", "os_distro": "debian"},
        "tags": ["kvm"],
        "min_disk": 2,
        "min_ram": 512,
        "template_wins": wins,
    }
    family(template=template)

    image = add("1", min_disk=9, tags=["own"], properties={"hw_disk_bus": "ide"})

    document = shown(api.reader, image)
    assert (document["min_disk"], document["min_ram"]) == (disk, 512)
    assert (document["hw_disk_bus"], document["os_distro"]) == (bus, "debian")
    assert document["tags"] == ["kvm", "own"]


def test_a_version_leaves_its_family(api: Any, family: Any, add: Any) -> None:
    family()
    image = add("1")

    assert api.member.delete(f"{ONE}/versions/1").status_code == 204

    document = shown(api.reader, image)
    assert "image_family" not in document
    assert (document["name"], document["os_hidden"]) == ("debian-13", True)
    assert api.member.delete(f"{ONE}/versions/1").status_code == 404


def test_a_version_whose_image_is_gone_can_only_be_removed(
    api: Any, family: Any, post: Any
) -> None:
    family()
    # As the previous release leaves it behind when it deletes the row of an image.
    FamilyVersion.objects.create(
        family=Family.objects.get(),
        image_id="gone",
        label="1",
        label_key=natural_key("1"),
        build_date="2026-01-01",
    )
    path = f"{ONE}/versions/1"

    assert patch(api.member, path, {"note": "x"}).status_code == 404
    assert post(api.member, f"{ONE}/promote", version="1").status_code == 404
    assert api.reader.get(f"{ONE}/versions").json()["versions"] == []
    assert api.member.delete(path).status_code == 204
    assert not FamilyVersion.objects.exists()


def test_the_current_version_is_neither_removed_nor_withdrawn(
    api: Any, family: Any, add: Any
) -> None:
    family()
    add("1", promote=True)
    path = f"{ONE}/versions/1"

    assert api.member.delete(path).status_code == 409
    assert patch(api.member, path, {"withdrawn": True}).status_code == 409
    changed = patch(api.member, path, {"note": "good", "withdrawn": False})
    assert changed.json()["note"] == "good"


# Promotion


def test_a_promoted_image_is_the_only_one_of_its_name(
    api: Any, family: Any, add: Any, post: Any
) -> None:
    family()
    first = add("1", promote=True)
    second = add("2")
    assert by_name(api.reader) == [first.pk]

    response = post(api.member, f"{ONE}/promote", version="2")

    assert response.json()["current"] == "2"
    assert by_name(api.reader) == [second.pk]
    hidden = "/v2/images?image_family=debian-13&os_hidden=true"
    (old,) = api.reader.get(hidden).json()["images"]
    assert (old["id"], old["image_version"]) == (first.pk, "1")


def test_promoting_what_is_current_changes_nothing(
    api: Any, family: Any, add: Any, post: Any
) -> None:
    family()
    add("1", promote=True)
    before = FamilyEvent.objects.count(), Event.objects.count()

    assert post(api.member, f"{ONE}/promote", version="1").status_code == 200

    assert (FamilyEvent.objects.count(), Event.objects.count()) == before


def test_old_images_get_names_with_their_versions(
    api: Any, family: Any, add: Any, post: Any
) -> None:
    values = {"naming": "versioned", "hide_old": False, "image_name": "Debian 13"}
    family(**values)
    first, second = add("1", promote=True), add("2", promote=True)

    assert shown(api.reader, first)["name"] == "Debian 13 (1)"
    assert by_name(api.reader, "Debian 13") == [second.pk]
    assert by_name(api.reader, "Debian 13 (1)") == [first.pk]


def test_a_change_of_the_naming_renames_all_images(
    api: Any, family: Any, add: Any
) -> None:
    family()
    first, second = add("1", promote=True), add("2", promote=True)

    values = {
        "name": "trixie",
        "naming": "versioned",
        "hide_old": False,
        "name_separator": "-",
    }
    assert patch(api.member, ONE, values).status_code == 200

    old, new = shown(api.reader, first), shown(api.reader, second)
    assert (old["name"], old["os_hidden"]) == ("trixie-(1)", False)
    assert (new["name"], new["image_family"]) == ("trixie", "trixie")


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("queued", "queued"),
        ("deactivated", "deactivated"),
        ("pending_delete", "in the trash"),
        ("deleted", "deleted"),
    ],
)
def test_only_an_active_image_is_promoted(
    status: str, word: str, api: Any, family: Any, add: Any, post: Any
) -> None:
    family()
    current, other = add("1", promote=True), add("2")
    Image.objects.filter(pk=other.pk).update(status=status)

    response = post(api.member, f"{ONE}/promote", version="2")

    assert response.status_code == 409
    assert word in response.content.decode()
    assert by_name(api.reader) == [current.pk]


def test_a_withdrawn_version_is_not_promoted(
    api: Any, family: Any, add: Any, post: Any
) -> None:
    family()
    add("1")
    patch(api.member, f"{ONE}/versions/1", {"withdrawn": True})

    assert post(api.member, f"{ONE}/promote", version="1").status_code == 409
    patch(api.member, f"{ONE}/versions/1", {"withdrawn": False})
    assert post(api.member, f"{ONE}/promote", version="1").status_code == 200


def test_a_family_of_verified_images_promotes_no_other(
    api: Any, family: Any, add: Any, post: Any
) -> None:
    family(verified_only=True)
    image = add("1")

    assert post(api.member, f"{ONE}/promote", version="1").status_code == 409
    Image.objects.filter(pk=image.pk).update(verified_by="repr-digest")
    assert post(api.member, f"{ONE}/promote", version="1").status_code == 200


def test_an_image_gets_the_visibility_of_its_family_when_promoted(
    api: Any, family: Any, add: Any, post: Any
) -> None:
    family(visibility="community")
    image = add("1", visibility="private")
    assert shown(api.reader, image)["visibility"] == "private"

    post(api.member, f"{ONE}/promote", version="1")

    assert shown(api.stranger, image)["visibility"] == "community"


def test_only_who_may_publish_promotes_into_a_family_of_public_images(
    api: Any, family: Any, add: Any, post: Any
) -> None:
    family()
    add("1")
    assert patch(api.admin, ONE, {"visibility": "public"}).status_code == 200

    assert post(api.member, f"{ONE}/promote", version="1").status_code == 403
    assert post(api.admin, f"{ONE}/promote", version="1").status_code == 200


def test_a_rollback_goes_back_to_what_was_current(
    api: Any, family: Any, add: Any, post: Any
) -> None:
    family()
    first, second, third = (add(it, promote=True) for it in "123")
    add("4")

    assert post(api.member, f"{ONE}/rollback").json()["current"] == "2"
    assert by_name(api.reader) == [second.pk]
    # What was current last comes first, unless it was withdrawn.
    assert post(api.member, f"{ONE}/rollback", withdraw=True).json()["current"] == "3"
    assert post(api.member, f"{ONE}/rollback").json()["current"] == "1"
    assert by_name(api.reader) == [first.pk]
    assert shown(api.reader, third)["os_hidden"] is True


def test_a_rollback_without_an_earlier_version_is_409(
    api: Any, family: Any, add: Any, post: Any
) -> None:
    family()
    old = add("1", promote=True)
    add("2", promote=True)
    Image.objects.filter(pk=old.pk).update(status="deactivated")

    assert post(api.member, f"{ONE}/rollback").status_code == 409
    assert api.reader.get(ONE).json()["current"] == "2"


def test_the_purpose_of_images_follows_the_standard(
    api: Any, family: Any, add: Any, post: Any
) -> None:
    family(template={"scs": True, "properties": {"os_purpose": "generic"}})
    first, second = add("1", promote=True), add("2", promote=True)

    def purposes() -> tuple[str, str]:
        old, new = shown(api.reader, first), shown(api.reader, second)
        return old["os_purpose"], new["os_purpose"]

    assert purposes() == ("oldgeneric", "generic")
    post(api.member, f"{ONE}/rollback")
    assert purposes() == ("generic", "oldgeneric")


def test_members_promote_and_readers_do_not(
    api: Any, family: Any, add: Any, post: Any
) -> None:
    family()
    add("1")

    assert post(api.reader, f"{ONE}/promote", version="1").status_code == 403
    assert post(api.member, f"{ONE}/promote").status_code == 400
    assert post(api.member, f"{ONE}/promote", version="2").status_code == 404


# The current image


def test_the_current_image_is_shown_as_version_2_shows_it(
    api: Any, family: Any, add: Any
) -> None:
    family()
    assert api.reader.get(f"{ONE}/image").status_code == 404
    image = add("1", promote=True)

    response = api.reader.get(f"{ONE}/image")

    assert response.json() == shown(api.reader, image)
    assert response.headers["Content-Location"] == f"/v2/images/{image.pk}"
    known = {"if-none-match": response.headers["ETag"]}
    assert api.reader.get(f"{ONE}/image", headers=known).status_code == 304


def test_the_data_of_the_current_image_is_a_redirect_away(
    api: Any, family: Any, add: Any
) -> None:
    family()
    image = add("1", promote=True)

    for method in (api.member.get, api.member.head):
        response = method(f"{ONE}/file")
        assert response.status_code == 307
        path = f"/v2/images/{image.pk}/file"
        assert response.headers["Location"].endswith(path)
        assert response.headers["Cache-Control"] == "no-store"


def test_the_data_needs_the_rights_of_a_download(
    api: Any, family: Any, add: Any
) -> None:
    family(scope="public")
    image = add("1", promote=True, visibility="private")

    assert api.reader.get(f"{ONE}/file").status_code == 403
    assert api.stranger.get(f"{ONE}/file").status_code == 404
    Image.objects.filter(pk=image.pk).update(status="deactivated")
    assert api.member.get(f"{ONE}/file").status_code == 403
    Image.objects.filter(pk=image.pk).update(status="queued")
    assert api.member.get(f"{ONE}/file").status_code == 404


# The history


def test_changes_are_recorded_with_their_reason(
    api: Any, family: Any, add: Any
) -> None:
    family()
    first, second = add("1", promote=True), add("2")
    body = {"version": "2"}
    headers = {"X-Reason": "it works", "X-OpenStack-Request-ID": "req-7"}
    api.member.post(f"{ONE}/promote", body, content_type=JSON, headers=headers)

    history = api.reader.get(f"{ONE}/history").json()["history"]

    verbs = [it["verb"] for it in history]
    assert verbs == ["create", "add", "promote", "add", "promote"]
    last = history[-1]
    assert (last["from"], last["to"]) == ("1", "2")
    assert (last["reason"], last["actor"]) == ("it works", "alice")
    assert (last["interface"], last["project"]) == ("catalog", "project-a")
    of_images = Event.objects.filter(request_id="req-7").order_by("pk")
    assert [it.image_id for it in of_images] == [first.pk, second.pk]
    for event in of_images:
        assert (event.interface, event.reason) == ("catalog", "it works")
        assert event.detail["family"] == "debian-13"
        assert event.detail["os_hidden"] in ([True, False], [False, True])


def test_the_history_comes_page_by_page(api: Any, family: Any) -> None:
    family()
    patch(api.member, ONE, {"title": "x"})

    first = api.reader.get(f"{ONE}/history?limit=1").json()
    second = api.reader.get(first["next"]).json()

    assert second["history"][0]["detail"] == {"title": ["", "x"]}
    assert "next" not in second


def test_other_projects_do_not_see_who_works_on_a_public_family(
    api: Any, family: Any
) -> None:
    family(scope="public")

    (event,) = api.stranger.get(f"{ONE}/history").json()["history"]

    assert event.keys() == {"id", "at", "verb", "from", "to"}


def test_a_family_is_remembered_after_its_deletion(api: Any, family: Any) -> None:
    made = family()
    api.member.delete(ONE, headers={"X-Reason": "end of life"})

    last = FamilyEvent.objects.filter(family=made["id"]).order_by("pk").last()

    assert last is not None
    assert (last.verb, last.name, last.reason) == ("delete", "debian-13", "end of life")


# Limits


def test_families_of_a_project_and_versions_of_a_family_are_limited(
    api: Any, family: Any, add: Any, post: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_PROJECT_FAMILY_QUOTA = 1
    settings.IMAGECATALOG_FAMILY_VERSION_QUOTA = 1
    family()
    add("1")

    second = post(api.member, FAMILIES, name="a", architecture="x86_64")
    assert (second.status_code, "families" in second.text) == (413, True)
    image = make_image("active").pk
    assert post(api.member, f"{ONE}/versions", image=image).status_code == 413
    assert post(api.stranger, FAMILIES, name="a", architecture="x").status_code == 201


def test_a_template_has_no_more_properties_than_an_image(
    api: Any, post: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_PROPERTY_QUOTA = 5
    whole = {"name": "a", "architecture": "x86_64"}

    for properties in (
        {f"p{n}": "x" for n in range(6)},
        {f"p{n}": "x" * 65_535 for n in range(5)},
    ):
        template = {"properties": properties}
        assert post(api.member, FAMILIES, **whole, template=template).status_code == 413
    assert not Family.objects.exists()


def test_a_list_of_families_has_neither_templates_nor_descriptions(
    api: Any, family: Any
) -> None:
    made = family(description="long", template={"min_disk": 2})

    (listed,) = api.reader.get(FAMILIES).json()["families"]

    del made["template"], made["description"]
    assert listed == made


def test_a_list_of_versions_does_not_read_the_properties_of_images(
    api: Any, family: Any, add: Any
) -> None:
    family()
    add("1")

    with CaptureQueriesContext(connection) as queries:
        api.reader.get(f"{ONE}/versions")

    assert not [it for it in queries if '"properties"' in it["sql"]]


def test_a_family_is_not_changed_too_often(
    api: Any, family: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IMAGECATALOG_IMAGE_CHANGE_RATE = 2
    monkeypatch.setattr("images.request_rate.BURST", 1)
    family()

    answers = [patch(api.member, ONE, {"title": title}) for title in "abc"]

    assert [it.status_code for it in answers] == [200, 200, 429]
    assert Family.objects.get().title == "b"
    assert FamilyEvent.objects.count() == 3


def test_families_are_not_created_and_deleted_too_often(
    api: Any, family: Any, post: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IMAGECATALOG_IMAGE_CHANGE_RATE = 2
    monkeypatch.setattr("images.request_rate.BURST", 1)
    family()
    api.member.delete(ONE)

    refused = post(api.member, FAMILIES, name="a", architecture="x86_64")

    assert refused.status_code == 429
    assert not Family.objects.exists()


# The number of queries


def test_the_number_of_queries_does_not_grow_with_families_and_versions(
    api: Any, family: Any, add: Any
) -> None:
    reader = api.reader

    def asked(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert reader.get(path).status_code == 200
        return len(queries)

    family()
    add("1", promote=True)
    paths = (FAMILIES, ONE, f"{ONE}/image", f"{ONE}/versions", f"{ONE}/history")
    few = [asked(path) for path in paths]

    fill(Family.objects.get(), families=100, versions=10)

    assert [asked(path) for path in paths] == few
    assert max(few) <= 4


def fill(first: Family, families: int, versions: int) -> None:
    """Many families with many versions; the first family gets 1,000 versions."""
    made = [
        Family(name=f"f{n}", owner="project-a", architecture="x")
        for n in range(families)
    ]
    Family.objects.bulk_create(made)
    owners = [*made * versions, *[first] * 1000]
    images = [Image(owner="project-a", status="active") for _ in owners]
    Image.objects.bulk_create(images)
    FamilyVersion.objects.bulk_create(
        FamilyVersion(
            family=family,
            image=image,
            label=f"v{number}",
            label_key=natural_key(f"v{number}"),
            build_date="2026-01-01",
        )
        for number, (family, image) in enumerate(zip(owners, images, strict=True))
    )
