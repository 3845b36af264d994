"""Horizon's panel of images, driven in a browser as a person uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.interop.horizon.dashboard import LOGIN

SECONDS = 60


class Panel:
    """The panel of images in a page of Horizon, whose user is signed in."""

    def __init__(self, page: Page, url: str, username: str, password: str) -> None:
        self.page, self.url = page, url
        page.set_default_timeout(SECONDS * 1000)
        expect.set_options(timeout=SECONDS * 1000)
        page.goto(f"{url}{LOGIN}?next=/project/images/")
        page.locator("#id_username").fill(username)
        page.locator("#id_password").fill(password)
        page.get_by_role("button", name="Sign In").click()
        expect(page.locator("#loginBtn")).to_have_count(0)
        self.open()

    def open(self) -> None:
        """Load the list of images anew."""
        self.page.goto(f"{self.url}/project/images", wait_until="networkidle")
        expect(self.page.get_by_role("button", name="Create Image")).to_be_visible()

    def row(self, name: str) -> Locator:
        """The row of an image."""
        link = self.page.get_by_role("link", name=name, exact=True)
        return self.page.locator("tbody tr").filter(has=link)

    def wait_for(self, name: str, status: str) -> None:
        """Wait until the list shows an image with a status; Horizon asks again by itself."""
        expect(self.row(name)).to_contain_text(status)

    @contextmanager
    def creating(self, name: str, disk_format: str) -> Iterator[Locator]:
        """Yield the form of a new image, and send it at the end."""
        self.page.get_by_role("button", name="Create Image").click()
        form = self._form()
        form.locator("#imageForm-name").fill(name)
        yield form
        form.locator("#imageForm-format").select_option(label=disk_format)
        self._send(form, "Create Image", f"Image {name} was successfully created.")

    def choose_file(self, form: Locator, path: Path) -> None:
        self._source(form, "File")
        form.locator("input[type=file]").set_input_files(path)

    def choose_url(self, form: Locator, url: str) -> None:
        self._source(form, "URL")
        form.locator("#imageForm-image_url").fill(url)

    def _source(self, form: Locator, name: str) -> None:
        form.locator("label.btn", has_text=name).first.click()

    @contextmanager
    def editing(self, name: str, new: str) -> Iterator[Locator]:
        """Yield the form of an image, and send it at the end, with the new name."""
        self._act(name, "Edit Image")
        form = self._form()
        expect(form.locator("#imageForm-name")).to_have_value(name)
        form.locator("#imageForm-name").fill(new)
        yield form
        self._send(form, "Update Image", f"Image {new} was successfully updated.")

    @contextmanager
    def metadata(self, name: str) -> Iterator[Locator]:
        """Yield the dialog with the properties of an image, and send it at the end."""
        self._act(name, "Update Metadata")
        form = self._form()
        yield form
        self._send(form, "Save", "Metadata was successfully updated.")

    def add_defined(self, form: Locator, namespace: str, *titles: str) -> None:
        """Add properties of a namespace to those of the image."""
        available = form.locator(".metadata-tree .panel").first.locator("li")
        available.filter(has_text=namespace).click()
        for title in titles:
            one = available.filter(has=self.page.get_by_text(title, exact=True))
            one.locator("a.btn-primary").click()

    def defined(self, form: Locator, name: str) -> Locator:
        """The field for the value of a property in the form."""
        field = form.locator(
            ".metadata-tree-item", has=self.page.locator(f"[title={name}]")
        )
        return field.locator("[name=property]")

    def deactivate(self, name: str) -> None:
        self._act(name, "Deactivate Image")
        self._send(self._form(), "Deactivate Image", f"Deactivated Image: {name}.")

    def reactivate(self, name: str) -> None:
        self.open()
        self.row(name).get_by_role("button", name="Reactivate Image").click()
        self._send(self._form(), "Reactivate Image", f"Reactivated Image: {name}.")

    def delete(self, name: str) -> None:
        self._act(name, "Delete Image")
        self._send(self._form(), "Delete Image", f"Deleted Image: {name}.")

    def _act(self, name: str, action: str) -> None:
        self.open()  # a list that an earlier action has changed is drawn again at any time
        row = self.row(name)
        row.locator(".dropdown-toggle").click()
        row.get_by_role("menuitem", name=action).click()

    def _form(self) -> Locator:
        form = self.page.locator(".modal-content")
        expect(form).to_be_visible()
        return form

    def _send(self, form: Locator, button: str, message: str) -> None:
        form.get_by_role("button", name=button).click()
        success = self.page.locator(".alert-success", has_text=message)
        expect(success).to_be_visible()
        expect(form).to_have_count(0)
