"""The search: words that people type find images in the list, and anything on the search page."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imagecatalog.identity.models import Project
from images.models import Family, Image
from images.search import index, words
from tests.admin.conftest import LIST

MakeImage = Callable[..., Image]
PAGE = "/admin/search/"
OLD = datetime(2020, 1, 1, tzinfo=UTC)


def shown(client: Client, **query: str) -> set[str]:
    """The names of the images that the list shows."""
    page = client.get(LIST, query).content.decode()
    return set(re.findall(r'/change/(?:\?[^"]*)?"[^>]*>(?:<bdi>)?([^<]+)<', page))


@pytest.fixture(params=["index", "no index"])
def either(request: pytest.FixtureRequest, db: None) -> None:
    """With the index of the database, and without it."""
    if request.param == "no index":
        drop_index()


def drop_index() -> None:
    names = ("insert", "update", "delete")
    statements = {
        "postgresql": [f"DROP INDEX {index.POSTGRESQL_INDEX}"],
        "sqlite": [f"DROP TRIGGER {index.SQLITE_INDEX}_{name}" for name in names],
    }
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)


@pytest.fixture
def wanted(make_image: MakeImage) -> Image:
    """An image among others that have some of its words."""
    make_image(name="Ubuntu server", tags=["lts"])
    make_image(name="debian", tags=["arm64"], properties={"os_distro": "debian"})
    return make_image(
        "active",
        name="Ubuntu-24.04-minimal_1",
        tags=["gold, or nearly", 'say "hi"', "größe"],
        properties={
            "os_distro": "ubuntu",
            "os_version": "24.04",
            "architecture": "aarch64",
            "build": "private-number",
        },
        owner="project-a",
    )


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(
    "text",
    [
        "minimal",
        "UBUNTU 24",
        "aarch64 ubuntu",
        "24.04 nearly",
        "mal_1",
        '"hi"',
        'say "hi',
        "größe",
        "laborat minimal",
        "  minimal   minimal  ",
        "24 ub",
        "AA",
        "hi",
    ],
)
def test_every_word_has_to_match_something_of_the_image(
    root: Client, wanted: Image, text: str
) -> None:
    Project.objects.create(id="project-a", name="Laboratory")

    assert shown(root, q=text) == {wanted.name}


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(
    "text",
    [
        "ubuntu debian",
        "private-number",
        "24_04",
        "%",
        "minimal lts",
        "4 ubuntu",
        "a,b",
        ".",
        "h?",
        '"',
    ],
)
def test_what_is_in_no_image_finds_none(root: Client, wanted: Image, text: str) -> None:
    assert shown(root, q=text) == set()


@pytest.fixture
def foreign(make_image: MakeImage) -> str:
    """The name of an image in letters outside ASCII. Another image has similar letters."""
    make_image(name="olprufer Я")
    return str(make_image(name="Ölprüfer-Ж-漢字").name)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("text", ["Ö", "Öl", "Ölprüf", "Ж", "漢", "漢字"])
def test_words_in_other_letters_than_ascii_are_found(
    root: Client, foreign: str, text: str
) -> None:
    assert shown(root, q=text) == {foreign}


@pytest.mark.sqlite  # the case of such letters in PostgreSQL is a matter of its locale
@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("text", ["ö", "öL", "ÖLPRÜ", "ölprüfer", "ж", "ÖLPRÜFER-ж"])
def test_such_letters_are_found_in_either_case(
    root: Client, foreign: str, text: str
) -> None:
    assert shown(root, q=text) == {foreign}


def test_the_name_of_a_project_finds_its_images(
    root: Client, make_image: MakeImage
) -> None:
    Project.objects.create(id="project-b", name="Laboratory")
    make_image(name="theirs", owner="project-b")
    make_image(name="about the laboratory")
    make_image(name="another")

    assert shown(root, q="laboratory") == {"theirs", "about the laboratory"}
    assert shown(root, q="labor theirs") == {"theirs"}


def test_a_change_of_an_image_changes_what_finds_it(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image(name="earlier", tags=["first"])
    Image.objects.filter(pk=image.pk).update(name="later", tags=["second"])

    assert shown(root, q="later second") == {"later"}
    assert shown(root, q="earlier") == set()
    assert shown(root, q="first") == set()


def test_a_deleted_row_is_found_no_more(root: Client, make_image: MakeImage) -> None:
    make_image(name="gone").delete()
    make_image(name="gone again")

    assert shown(root, q="gone") == {"gone again"}


@pytest.mark.parametrize("expected", [1, 100])
def test_many_images_with_a_word_are_found_like_few(
    root: Client, make_image: MakeImage, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "FEW", 1)
    monkeypatch.setattr(words, "EXPECTED", expected)
    for number in range(3):
        make_image(name=f"disk {number}")

    assert shown(root, q="disk") == {"disk 0", "disk 1", "disk 2"}
    assert shown(root, q="disk 1") == {"disk 1"}


@pytest.mark.postgres
def test_as_many_images_as_are_looked_up_by_id_are_few_parameters(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "EXPECTED", words.NEWEST + 1)
    names = (f"disk {number}" for number in range(8500))
    Image.objects.bulk_create(Image(name=name, created_at=OLD) for name in names)

    page = root.get(LIST, {"q": "disk"})

    assert "More than 1,000 images" in page.content.decode()


def test_a_property_that_the_user_cannot_read_finds_nothing(
    root: Client, wanted: Image, hide_property: Callable[[str], None]
) -> None:
    hide_property("architecture")

    assert shown(root, q="aarch64") == set()
    assert shown(root, q="24.04 minimal") == {wanted.name}


@pytest.mark.sqlite
def test_the_index_is_made_again_when_a_migration_has_lost_its_triggers(
    root: Client, wanted: Image
) -> None:
    drop_index()
    Image.objects.filter(pk=wanted.pk).update(name="renamed")

    index.ensure()

    assert index.exists()
    assert shown(root, q="renamed") == {"renamed"}


def test_a_database_without_the_index_is_warned_of(db: None) -> None:
    drop_index()

    with pytest.raises(SystemCheckError, match="has no index: it reads all images"):
        call_command("check", databases=["default"], fail_level="WARNING")


# The page


@pytest.fixture
def everything(make_image: MakeImage) -> None:
    """An object of each kind, and a deleted image, all with "machine" in their names."""
    make_image("active", name="machine image")
    make_image("deleted", name="machine of the past")
    Family.objects.create(name="machine-family", owner="project-a")
    Project.objects.create(id="project-m", name="machine project")
    User.objects.create_user("machine-user")


def results(client: Client, text: str) -> set[str]:
    page = client.get(PAGE, {"q": text}).content.decode()
    return set(re.findall(r'<li><a href="[^"]+"><bdi>([^<]+)<', page))


@pytest.mark.usefixtures("everything")
def test_the_page_finds_images_families_projects_and_users(root: Client) -> None:
    found = {"machine image", "machine-family", "machine project", "machine-user"}

    assert results(root, "machine") == found
    assert results(root, "machine image") == {"machine image"}
    assert "Nothing matches" in root.get(PAGE, {"q": "nowhere"}).content.decode()


@pytest.mark.usefixtures("everything")
def test_the_page_shows_only_what_the_role_allows(
    signed_in: Callable[..., Client],
) -> None:
    assert results(signed_in("viewer"), "machine") == {
        "machine image",
        "machine-family",
        "machine project",
    }


@pytest.mark.usefixtures("everything")
def test_a_user_without_permission_finds_nothing(
    signed_in: Callable[..., Client],
) -> None:
    client = signed_in("viewer")
    User.objects.get(username="viewer").groups.clear()

    assert results(client, "machine") == set()


@pytest.mark.usefixtures("everything")
def test_a_user_who_sees_only_users_finds_only_users(
    signed_in: Callable[..., Client],
) -> None:
    client = signed_in("viewer")
    user = User.objects.get(username="viewer")
    user.groups.clear()
    user.user_permissions.add(Permission.objects.get(codename="view_user"))

    assert results(client, "machine") == {"machine-user"}


def test_more_than_ten_images_lead_to_the_list(
    root: Client, make_image: MakeImage
) -> None:
    for number in range(11):
        make_image(name=f"disk {number}")

    page = root.get(PAGE, {"q": "disk"}).content.decode()

    assert page.count("<li><a href=") >= 10
    assert 'href="/admin/images/image/?q=disk"' in page


@pytest.mark.parametrize("images", [1, 20])
def test_the_page_asks_as_often_for_many_as_for_few(
    root: Client, make_image: MakeImage, images: int
) -> None:
    for number in range(images):
        make_image("active", name=f"disk {number}", owner=f"project-{number}")

    with CaptureQueriesContext(connection) as queries:
        assert root.get(PAGE, {"q": "disk"}).status_code == 200

    assert len(queries) <= 14, [query["sql"][:150] for query in queries]


@pytest.mark.parametrize(
    "text", ["a" * 500, "x " * 200, "\\", "'", "%%", "\u202e", "AND"]
)
def test_no_text_is_a_failure(root: Client, wanted: Image, text: str) -> None:
    assert root.get(PAGE, {"q": text}).status_code == 200
    assert root.get(LIST, {"q": text}).status_code == 200


def test_markup_in_names_is_shown_as_text(root: Client, make_image: MakeImage) -> None:
    make_image(name="<b>bold</b>", tags=["<i>tag</i>"])

    page = root.get(PAGE, {"q": "bold"}).content.decode()

    assert "&lt;b&gt;bold" in page
    assert "<b>bold" not in page
    assert "<i>tag" not in page
