"""The pages of namespaces of metadata definitions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from imagecatalog.identity.models import Project
from images.admin.namespace_admin import NamespaceAdmin, NamespaceForm
from images.metadefs import files
from images.metadefs.documents import clean_namespace
from images.models import MetadefNamespace
from tests.definitions import SIZE, TREE

LIST = "/admin/images/metadefnamespace/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def namespace() -> MetadefNamespace:
    files.load(clean_namespace(TREE))
    return MetadefNamespace.objects.get()


def form(content: Any, **fields: str) -> dict[str, str]:
    content = content if isinstance(content, str) else json.dumps(content)
    return {"visibility": "public", "content": content, **fields}


def test_a_namespace_is_listed_and_shown(
    root: Client, namespace: MetadefNamespace
) -> None:
    page = root.get(f"{LIST}{namespace.pk}/change/").content.decode()

    assert "OS::Test::Machine" in root.get(LIST).content.decode()
    assert "What the machine is like." in page
    assert "&quot;hw_&quot;" in page


def test_the_content_of_a_namespace_has_a_line_for_each_member(
    root: Client, namespace: MetadefNamespace
) -> None:
    page = root.get(f"{LIST}{namespace.pk}/change/").content.decode()

    assert "{\n  &quot;resource_type_associations&quot;: [\n" in page


def test_the_content_of_a_new_namespace_is_empty_at_first(root: Client) -> None:
    shown = root.get(f"{LIST}add/").context["adminform"].form

    assert shown["content"].value() == ""


def test_a_namespace_is_added(root: Client) -> None:
    content = {"properties": {"size": SIZE}, "tags": [{"name": "fast"}]}

    response = root.post(f"{LIST}add/", form(content, namespace="New"))

    assert response.status_code == 302
    namespace = MetadefNamespace.objects.get(namespace="New")
    assert namespace.properties.get().schema == SIZE
    assert namespace.tags.get().name == "fast"


def test_a_page_that_nobody_touched_changes_nothing(
    root: Client, namespace: MetadefNamespace
) -> None:
    path = f"{LIST}{namespace.pk}/change/"
    (before,) = files.all_namespaces()
    page = root.get(path)
    shown = page.context["adminform"].form
    posted = {
        name: shown[name].value() or "" for name in shown.fields if name != "content"
    }

    response = root.post(path, form(shown.initial["content"], **posted))

    assert response.status_code == 302
    (after,) = files.all_namespaces()
    assert files.document_of(after) == files.document_of(before)


def test_a_namespace_is_changed_with_its_content(
    root: Client, namespace: MetadefNamespace
) -> None:
    path = f"{LIST}{namespace.pk}/change/"

    response = root.post(path, form({"properties": {}}, description="New."))

    assert response.status_code == 302
    changed = MetadefNamespace.objects.get(pk=namespace.pk)
    assert (changed.namespace, changed.description) == ("OS::Test::Machine", "New.")
    assert not changed.properties.exists()


def test_the_form_saves_only_what_the_user_has_changed(
    root: Client, namespace: MetadefNamespace
) -> None:
    path = f"{LIST}{namespace.pk}/change/"
    shown = root.get(path)
    fields = shown.context["adminform"].form
    first = {it.html_initial_name: it.value() for it in fields if it.value()}
    assert all(f'name="{name}"' in shown.content.decode() for name in first)
    MetadefNamespace.objects.update(description="theirs")
    namespace.tags.create(name="theirs")

    unchanged = form(first["initial-content"], description=TREE["description"])
    response = root.post(path, first | unchanged | {"display_name": "mine"})

    assert response.status_code == 302
    namespace.refresh_from_db()
    assert (namespace.display_name, namespace.description) == ("mine", "theirs")
    assert namespace.tags.filter(name="theirs").exists()
    assert namespace.properties.exists()


def test_a_namespace_that_is_deleted_meanwhile_stays_deleted(
    root: Client, namespace: MetadefNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_form = NamespaceAdmin.get_form

    def delete_first(*args: Any, **options: Any) -> Any:
        MetadefNamespace.objects.all().delete()
        return get_form(*args, **options)

    monkeypatch.setattr(NamespaceAdmin, "get_form", delete_first)

    response = root.post(f"{LIST}{namespace.pk}/change/", form({}, description="New."))

    assert "OS::Test::Machine not found" in response.content.decode()
    assert not MetadefNamespace.objects.exists()


def test_a_namespace_that_another_user_adds_meanwhile_is_not_replaced(
    root: Client, namespace: MetadefNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NamespaceForm, "validate_unique", lambda form: None)

    response = root.post(f"{LIST}add/", form({}, namespace="OS::Test::Machine"))

    assert "exists already" in response.content.decode()
    assert namespace.properties.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "valid JSON"),
        (["x"], "must be a JSON object"),
        ({"colour": "red"}, "must be a JSON object"),
        ({"properties": {"x": {"type": "string"}}}, "needs a title"),
        ({"tags": [{"name": "a"}, {"name": "A"}]}, "given twice"),
    ],
)
def test_malformed_content_is_refused(
    content: Any, sentence: str, root: Client, namespace: MetadefNamespace
) -> None:
    response = root.post(f"{LIST}{namespace.pk}/change/", form(content))

    assert response.status_code == 200
    assert sentence in response.content.decode()
    assert namespace.properties.exists()


def test_a_taken_name_is_refused(root: Client, namespace: MetadefNamespace) -> None:
    response = root.post(f"{LIST}add/", form({}, namespace="OS::Test::Machine"))

    assert response.status_code == 200
    assert namespace.properties.exists()


def test_a_namespace_is_deleted_unless_it_is_protected(
    root: Client, namespace: MetadefNamespace
) -> None:
    path = f"{LIST}{namespace.pk}/delete/"
    MetadefNamespace.objects.update(protected=True)
    assert root.post(path, {"post": "yes"}).status_code == 403

    MetadefNamespace.objects.update(protected=False)
    assert root.post(path, {"post": "yes"}).status_code == 302
    assert not MetadefNamespace.objects.exists()


def test_a_viewer_of_images_sees_no_namespaces(signed_in: Any) -> None:
    assert signed_in("viewer").get(LIST).status_code == 403


def test_the_list_shows_the_project_of_an_owner_by_its_name(
    root: Client, namespace: MetadefNamespace
) -> None:
    project = Project.objects.create(name="laboratory")
    MetadefNamespace.objects.update(owner=project.pk)

    page = root.get(LIST).content.decode()

    assert '<td class="field-owner_shown">laboratory</td>' in page
