"""A tree with signatures: clients get the former state until the new one is signed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from images import families, lifecycle
from images.publishing import duties
from images.publishing.signing import Signer
from tests.api.published.conftest import COMMAND, work

CURRENT = "/pub/images/debian-13/current/"
SIGNED = (
    "/pub/images/debian-13/20260101/SHA256SUMS",
    "/pub/images/debian-13/20260201/SHA512SUMS",
    f"{CURRENT}SHA256SUMS",
)

pytestmark = pytest.mark.usefixtures("signed")


class Mirror:
    """What a client has downloaded, in a folder."""

    def __init__(self, folder: Path, visitor: Any) -> None:
        self.folder, self.visitor = folder, visitor
        self.save("/pub/key.gpg", "keyring.gpg")

    def save(self, path: str, name: str) -> Path:
        response = self.visitor.get(path)
        assert response.status_code == 200, path
        (self.folder / name).write_bytes(response.content)
        return self.folder / name

    def verify(self, path: str) -> None:
        """Verify the detached and the clear signature of a text. Raises if one is bad."""
        text, signature = self.save(path, "text"), self.save(f"{path}.gpg", "signature")
        self._gpgv(signature, text)
        assert text.read_bytes() in self.verified(f"{path}.asc")

    def verified(self, path: str) -> bytes:
        """The clearsigned file at a path, after its signature is verified."""
        return self._gpgv(self.save(path, "signed"))

    def _gpgv(self, signed: Path, *text: Path) -> bytes:
        keyring = self.folder / "keyring.gpg"
        command = ["gpgv", "--keyring", keyring, signed, *text]
        subprocess.run(command, check=True, capture_output=True)
        return signed.read_bytes()


@pytest.fixture
def mirror(tmp_path: Path, visitor: Any, two: Any) -> Mirror:
    return Mirror(tmp_path, visitor)


def test_checksum_files_and_indexes_are_signed(visitor: Any, mirror: Mirror) -> None:
    for path in SIGNED:
        mirror.verify(path)
    assert b'"index.sjson' not in mirror.verified("/pub/streams/v1/index.sjson")
    assert b"20260201" in mirror.verified("/pub/streams/v1/images.sjson")
    assert b"[debian-13]" in mirror.verified("/pub/index.asc")
    assert b"BEGIN PGP PUBLIC KEY" in visitor.get("/pub/key.asc").content
    key = visitor.get("/pub/index.json").json()["key"]
    assert len(key) == 40


def test_the_page_of_a_family_shows_the_fingerprint_that_the_index_has(
    visitor: Any, two: Any
) -> None:
    key = visitor.get("/pub/index.json").json()["key"]

    assert f"<code>{key}</code>" in visitor.get("/pub/images/debian-13/").text


def test_the_former_state_is_served_until_the_new_one_is_signed(
    visitor: Any, mirror: Mirror
) -> None:
    families.rollback(COMMAND, "debian-13")

    assert b"".join(visitor.get(f"{CURRENT}debian-13.qcow2")) == b"February"
    mirror.verify(f"{CURRENT}SHA256SUMS")
    shown = visitor.get("/pub/index.json").json()["families"]
    assert shown[0]["current"] == "20260201"

    duties.publish()

    assert b"".join(visitor.get(f"{CURRENT}debian-13.qcow2")) == b"January"
    mirror.verify(f"{CURRENT}SHA256SUMS")
    assert b"revision=2\n" in mirror.verified("/pub/index.asc")


def test_a_family_that_changes_during_each_signing_gets_on(
    visitor: Any, mirror: Mirror, add: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("20260301", b"March", promote=False)
    work()
    detached = Signer.detached

    def promote_meanwhile(signer: Signer, data: bytes) -> bytes:
        families.promote(COMMAND, "debian-13", "20260301")
        visitor.get("/pub/index.json")  # a reader renews the tree
        return detached(signer, data)

    families.rollback(COMMAND, "debian-13")
    monkeypatch.setattr(Signer, "detached", promote_meanwhile)
    duties.publish()

    assert b"".join(visitor.get(f"{CURRENT}debian-13.qcow2")) == b"January"
    mirror.verify(f"{CURRENT}SHA256SUMS")
    monkeypatch.undo()
    duties.publish()
    assert b"".join(visitor.get(f"{CURRENT}debian-13.qcow2")) == b"March"
    mirror.verify(f"{CURRENT}SHA256SUMS")


def test_a_deactivated_image_is_gone_before_anything_is_signed_again(
    visitor: Any, two: Any, mirror: Mirror
) -> None:
    lifecycle.deactivate(two[0].pk, COMMAND)

    assert visitor.get(SIGNED[0]).status_code == 404
    assert b"20260101" not in visitor.get("/pub/index.json").content
    assert b"20260101" in mirror.verified("/pub/streams/v1/images.sjson")

    duties.publish()

    assert b"20260101" not in mirror.verified("/pub/streams/v1/images.sjson")


def test_nothing_new_is_published_without_the_key(
    visitor: Any, mirror: Mirror, add: Any, settings: Any, tmp_path: Path, caplog: Any
) -> None:
    settings.IMAGECATALOG_PUBLISH_KEY = str(tmp_path / "no-key")
    add("20260301", b"March")
    work()

    assert b"".join(visitor.get(f"{CURRENT}debian-13.qcow2")) == b"February"
    mirror.verify(f"{CURRENT}SHA256SUMS")
    assert "nothing can be signed" in caplog.text


def test_without_the_setting_there_are_no_signatures(
    visitor: Any, mirror: Mirror, settings: Any
) -> None:
    settings.IMAGECATALOG_PUBLISH_KEY = ""
    duties.publish()

    for path in (
        f"{SIGNED[0]}.gpg",
        "/pub/index.asc",
        "/pub/streams/v1/index.sjson",
        "/pub/key.asc",
    ):
        assert visitor.get(path).status_code == 404
    assert visitor.get("/pub/index.json").json()["key"] is None
    assert visitor.get(SIGNED[0]).status_code == 200
