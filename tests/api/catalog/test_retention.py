"""``/catalog/v1/retention``: policies, their previews and their runs."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagecatalog.identity.models import Project
from images.models import Family, Image, Job, RetentionPolicy
from tests.api.catalog.conftest import JSON, ONE
from tests.retention.conftest import carry_out

pytestmark = pytest.mark.django_db

RETENTION = "/catalog/v1/retention"
POLICY: dict[str, Any] = {
    "name": "old",
    "scope": {"everything": True},
    "keep": {"last": 1},
    "actions": [{"hide": "0d"}, {"delete": "90d"}],
}


@pytest.fixture
def policy(api: Any, post: Any) -> Any:
    """``policy(keep={"last": 2})``: the policy old, as the API shows it."""

    def make(**values: Any) -> Any:
        response = post(api.admin, RETENTION, **POLICY | values)
        assert response.status_code == 201, response.content
        return response.json()

    return make


@pytest.fixture
def images(aged: Any) -> list[Image]:
    """Two images of one name, the newer one first."""
    return [aged(1), aged(2)]


def patch(api: Any, name: str = "old", **body: Any) -> Any:
    return api.admin.patch(f"{RETENTION}/{name}", body, content_type=JSON)


# Policies


def test_a_policy_is_created_shown_and_listed(api: Any, policy: Any) -> None:
    made = policy(schedule="30  3 * * *")

    response = api.admin.get(f"{RETENTION}/old")

    assert response.json() == made
    assert made == POLICY | {
        "select": {},
        "group_by": "name",
        "shared": "keep",
        "schedule": "30 3 * * *",
        "enabled": True,
        "max_per_run": 100,
        "max_share": 50,
        "version": 1,
        "next_run_at": made["next_run_at"],
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    assert made["next_run_at"].endswith("T03:30:00Z")
    assert response.headers["ETag"] == '"1"'
    assert api.admin.get(RETENTION).json()["policies"] == [made]
    assert api.admin.get("/catalog/v1").json()["features"]["retention"] is True


def test_policies_come_in_pages(api: Any, policy: Any) -> None:
    for name in "abc":
        policy(name=name)

    first = api.admin.get(f"{RETENTION}?limit=2").json()
    second = api.admin.get(first["next"]).json()

    names = [it["name"] for page in (first, second) for it in page["policies"]]
    assert names == ["a", "b", "c"]
    assert "next" not in second


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": "Old"}, "Invalid name"),
    ({"scope": {}}, "Invalid scope"),
    ({"scope": {"projects": [], "everything": True}}, "Invalid scope"),
    ({"scope": {"everything": False}}, "Invalid scope.everything"),
    ({"scope": {"families": ["nothing"]}}, "Invalid scope.families"),
    ({"scope": {"projects": ["nothing"]}}, "Invalid scope.projects"),
    ({"select": {"names": 1}}, "Invalid select: 'names' is not known"),
    ({"select": {"disk_format": "x"}}, "Invalid select.disk_format"),
    ({"select": {"properties": {"a": 1}}}, "Invalid select.properties.a"),
    ({"group_by": "property:"}, "Invalid group_by"),
    ({"keep": {}}, "Invalid keep"),
    ({"keep": {"first": 3}}, "Invalid keep: 'first' is not known"),
    ({"keep": {"last": 0}}, "Invalid keep.last"),
    ({"keep": {"last": True}}, "Invalid keep.last"),
    ({"keep": {"newer_than": "soon"}}, "Invalid keep.newer_than"),
    ({"keep": {"newer_than": "0d"}}, "Invalid keep.newer_than"),
    ({"keep": {"used_within": "999999d"}}, "Invalid keep.used_within"),
    ({"keep": {"labels": []}}, "Invalid keep.labels"),
    ({"keep": {"tags": "keep"}}, "Invalid keep.tags"),
    ({"keep": {"until_property": ""}}, "Invalid keep.until_property"),
    ({"actions": {"hide": "0d"}}, "Invalid actions"),
    ({"actions": [{"purge": "0d"}]}, "Invalid actions[0]"),
    ({"actions": [{"hide": "0d", "delete": "1d"}]}, "Invalid actions[0]"),
    ({"actions": [{"delete": "0d"}, {"hide": "1d"}]}, "Invalid actions[1]"),
    ({"actions": [{"hide": "9d"}, {"delete": "1d"}]}, "Invalid actions[1]"),
    ({"shared": "drop"}, "Invalid shared"),
    ({"schedule": "daily"}, "Invalid schedule"),
    ({"enabled": 1}, "Invalid enabled"),
    ({"max_per_run": 0}, "Invalid max_per_run"),
    ({"max_share": 101}, "Invalid max_share"),
    ({"version": 2}, "'version' is read-only"),
    ({"colour": "red"}, "'colour' is not known"),
    ({"keep": None}, "A retention policy needs 'keep'"),
]


@pytest.mark.parametrize(("values", "sentence"), BAD, ids=[it[1] for it in BAD])
def test_a_refusal_names_the_bad_value(
    values: dict[str, Any], sentence: str, api: Any, post: Any
) -> None:
    response = post(api.admin, RETENTION, **POLICY | values)

    assert response.status_code == 400
    assert sentence in response.content.decode()


def test_a_policy_is_changed_and_deleted(api: Any, policy: Any) -> None:
    policy(schedule="30 3 * * *")

    changed = patch(api, keep={"newer_than": "90d"}, schedule=None)

    assert changed.json()["keep"] == {"newer_than": "90d"}
    assert changed.json()["next_run_at"] is None
    assert changed.headers["ETag"] == '"2"'
    stale = api.admin.delete(f"{RETENTION}/old", headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert patch(api, name_="x").status_code == 400
    assert api.admin.delete(f"{RETENTION}/old").status_code == 204
    assert api.admin.get(f"{RETENTION}/old").status_code == 404


def test_a_taken_name_is_refused(api: Any, policy: Any, post: Any) -> None:
    policy()

    assert post(api.admin, RETENTION, **POLICY).status_code == 409


def test_only_admins_see_and_manage_policies(api: Any, policy: Any, post: Any) -> None:
    policy()

    assert post(api.member, RETENTION, **POLICY | {"name": "x"}).status_code == 403
    assert api.member.get(RETENTION).json()["policies"] == []
    for path in ("old", "old/runs", "old/runs/1"):
        assert api.member.get(f"{RETENTION}/{path}").status_code == 404
    for path in ("old/preview", "old/run", "old/runs/1/undo"):
        assert post(api.member, f"{RETENTION}/{path}").status_code == 404


# Families


def test_a_family_names_its_policy(api: Any, policy: Any, family: Any) -> None:
    policy()
    family()

    def choose(client: Any, name: str | None) -> Any:
        return client.patch(ONE, {"retention": name}, content_type=JSON)

    assert choose(api.member, "old").status_code == 403
    ref = Family.objects.get().pk
    chosen = api.admin.patch(
        f"/catalog/v1/families/{ref}", {"retention": "old"}, content_type=JSON
    )
    assert chosen.json()["retention"] == "old"
    unknown = api.admin.patch(
        f"/catalog/v1/families/{ref}", {"retention": "new"}, content_type=JSON
    )
    assert unknown.status_code == 400
    assert "Invalid retention: there is no policy new." in unknown.content.decode()
    deletion = api.admin.delete(f"{RETENTION}/old")
    assert deletion.status_code == 409
    assert "Family debian-13" in deletion.content.decode()


def test_a_scope_names_families_by_their_ids(
    api: Any, policy: Any, family: Any
) -> None:
    made = family(scope="public")

    assert policy(scope={"families": ["debian-13"]})["scope"] == {
        "families": [made["id"]]
    }


def test_a_scope_names_projects_by_their_ids(policy: Any) -> None:
    Project.objects.create(id="4f2a", name="lab")
    assert policy(scope={"projects": ["lab"]})["scope"] == {"projects": ["4f2a"]}


# Previews and runs


def test_a_preview_is_run_and_undone(
    api: Any, policy: Any, post: Any, images: list[Image]
) -> None:
    policy()
    newer, older = images

    shown = api.admin.post(f"{RETENTION}/old/preview").json()

    assert (shown["images"], shown["act"], shown["bytes"]) == (2, 1, older.size)
    assert [it["sentence"] for it in shown["decisions"]] == [
        "kept: last 1 (1st of 2)",
        "hide: 2 days old, 2nd of 2, no rule keeps it (last 1)",
    ]
    assert shown["decisions"][1]["image"] == older.pk

    started = post(api.admin, f"{RETENTION}/old/run", preview=shown["preview"])
    assert started.status_code == 202
    job = api.admin.get(started.headers["Location"]).json()
    assert job["kind"] == "retention"
    finish()

    done = api.admin.get(f"{RETENTION}/old/runs").json()["runs"][0]
    assert done["status"] == "succeeded"
    assert done["snapshot"]["keep"] == {"last": 1}
    assert done["counts"] == {"keep": 1, "hide": 1, "images": 2}
    one = api.admin.get(f"{RETENTION}/old/runs/{done['id']}").json()
    assert [it["result"] for it in one["decisions"]] == ["done"]
    hidden = api.member.get("/v2/images?os_hidden=true").json()["images"]
    assert [it["id"] for it in hidden] == [older.pk]

    undo = f"{RETENTION}/old/runs/{done['id']}/undo"
    assert api.admin.post(undo, headers={"X-Reason": "oh"}).status_code == 202
    finish()
    one = api.admin.get(f"{RETENTION}/old/runs/{done['id']}").json()
    assert (one["status"], one["decisions"][0]["result"]) == ("undone", "undone")
    assert not Image.objects.filter(os_hidden=True).exists()


def finish() -> None:
    for job in Job.objects.open():
        carry_out(job)


def test_a_preview_shows_build_dates_in_utc(api: Any, policy: Any, aged: Any) -> None:
    policy()
    aged(1, properties={"image_build_date": "2026-01-31T01:00:00+02:00"})
    aged(2, properties={"image_build_date": "0001-01-01T00:00:00+10:00"})

    response = api.admin.post(f"{RETENTION}/old/preview")

    assert response.status_code == 200
    built = [it["built_at"] for it in response.json()["decisions"]]
    assert "2026-01-30T23:00:00Z" in built


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"keep": {"last": 1, "booted_within": "9d"}}, "keep"),
        ({"keep": {"newer_than": "3 moons"}}, "keep.newer_than"),
        ({"scope": {"domains": ["d"]}}, "scope"),
        ({"select": {"architecture": "riscv64"}}, "select"),
        ({"actions": [{"archive": "9d"}]}, "actions[0]"),
    ],
)
def test_a_policy_with_values_of_a_newer_release_acts_on_nothing(
    values: dict[str, Any], named: str, api: Any, policy: Any, post: Any
) -> None:
    policy()
    RetentionPolicy.objects.update(**values)

    for path, body in (("preview", {}), ("run", {"force": True})):
        response = post(api.admin, f"{RETENTION}/old/{path}", **body)
        assert response.status_code == 400
        assert f"Invalid {named}" in response.content.decode()
    assert api.admin.get(f"{RETENTION}/old").status_code == 200


def test_a_stale_preview_is_refused(
    api: Any, policy: Any, post: Any, images: list[Image]
) -> None:
    policy()
    token = api.admin.post(f"{RETENTION}/old/preview").json()["preview"]
    Image.objects.filter(pk=images[1].pk).update(updated_at=timezone.now())

    def run(**body: Any) -> int:
        response = post(api.admin, f"{RETENTION}/old/run", **body)
        return int(response.status_code)

    assert run(preview=token) == 412
    assert run() == 400
    assert run(preview=5) == 400
    assert run(force=True) == 202
    assert run(force=True) == 409


def test_a_preview_shows_one_kind_of_decisions(
    api: Any, policy: Any, images: list[Image]
) -> None:
    policy()

    def decisions(query: str) -> Any:
        response = api.admin.post(f"{RETENTION}/old/preview?{query}")
        return [it["decision"] for it in response.json().get("decisions", [])]

    assert decisions("decision=keep") == ["keep"]
    assert decisions("limit=1") == ["keep"]
    unknown = api.admin.post(f"{RETENTION}/old/preview?decision=x")
    assert unknown.status_code == 400
    lost = api.admin.post(f"{RETENTION}/old/preview?marker=x")
    assert lost.status_code == 400


def test_lists_take_as_many_queries_for_many_runs_as_for_one(
    api: Any, policy: Any, post: Any
) -> None:
    policy()

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert api.admin.get(path).status_code == 200
        return len(queries)

    def start() -> None:
        post(api.admin, f"{RETENTION}/old/run", force=True)
        finish()

    start()
    paths = (RETENTION, f"{RETENTION}/old/runs")
    few = [queries(path) for path in paths]
    for name in "abc":
        start()
        policy(name=name)

    assert [queries(path) for path in paths] == few
    assert RetentionPolicy.objects.count() == 4
