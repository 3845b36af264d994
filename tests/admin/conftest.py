"""Users of the admin, and their browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from images.models import Image
from tests.web import allow_in_process, serving_folder

LIST = "/admin/images/image/"


def shown_form(client: Client, image: Image) -> dict[str, Any]:
    """Return the form data that a browser sends if the user changes nothing."""
    form = client.get(f"{LIST}{image.pk}/edit/").context
    data: dict[str, Any] = {}
    for field in form["form"]:
        if field.field.disabled:
            continue
        value = field.value()
        if value is not None and value is not False:
            data[field.html_name] = data[field.html_initial_name] = value
    rows = [(row["name"], row["value"]) for row in form["rows"]]
    data["property_name"] = data["shown_name"] = [name for name, _ in rows]
    data["property_value"] = data["shown_value"] = [value for _, value in rows]
    return data


@pytest.fixture
def signed_in(db: None) -> Callable[..., Client]:
    """``signed_in("viewer")``: a browser of a member of this group; without: a superuser's."""

    def sign_in(role: str = "", **options: Any) -> Client:
        user = User.objects.create_user(
            role or "root", is_staff=True, is_superuser=not role
        )
        if role:
            user.groups.add(Group.objects.get(name=role))
        client = Client(**options)
        client.force_login(user, "imagecatalog.identity.backends.Passwords")
        return client

    return sign_in


@pytest.fixture
def root(signed_in: Callable[..., Client]) -> Client:
    return signed_in()


@pytest.fixture
def hide_property(tmp_path: Path, settings: Any) -> Callable[[str], None]:
    """``hide_property("secret")``: nobody can read this property, and everybody all others."""

    def hide(name: str) -> None:
        nobody = "create = !\nread = !\nupdate = !\ndelete = !\n"
        everybody = nobody.replace("!", "@")
        file = tmp_path / "protections.conf"
        file.write_text(f"[{name}]\n{nobody}[.*]\n{everybody}")
        settings.IMAGECATALOG_PROPERTY_PROTECTION_FILE = str(file)

    return hide


@pytest.fixture
def web_folder(tmp_path: Path) -> Path:
    """The folder of the web server: ``disk.raw``, with the same bytes as the images."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "disk.raw").write_bytes(b"the bytes of an image")
    return folder


@pytest.fixture
def web(web_folder: Path, settings: Any) -> Iterator[str]:
    """The URL of a web server that gives what is in that folder."""
    with serving_folder(web_folder) as url:
        allow_in_process(settings, url)
        yield url
