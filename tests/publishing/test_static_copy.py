"""A folder with a static copy of what is published."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from images import errors, stores
from images.models import Image, ImageLocation
from images.publishing import static_copy
from images.publishing.static_copy import Data, Method, Report, StaticCopy

pytestmark = pytest.mark.django_db
BYTES = b"the bytes of an image"
FILE = "images/debian-13/1/debian-13-1.raw"
CURRENT = "images/debian-13/current/debian-13.raw"
Fill = Callable[[StaticCopy], None]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "copy"


@pytest.fixture
def image(make_image: Any) -> Image:
    found: Image = make_image("active", data=BYTES)
    return found


def data(image: Image, content: bytes = BYTES) -> Data:
    return Data(image.pk, len(content), hashlib.sha256(content).hexdigest())


def stored(image: Image) -> Path:
    """The file of an image in the store."""
    root: Path = stores.default().root  # type: ignore[attr-defined]
    return root / ImageLocation.objects.get(image=image).key


def copy(
    out: Path, fill: Fill, method: Method = Method.COPY, *, delete: bool = False
) -> Report:
    with static_copy.opened(out, method, _unwatched) as found:
        fill(found)
        found.finish(delete=delete)
        return found.report


def _unwatched(blocks: Iterator[bytes], size: int, name: str) -> Iterator[bytes]:
    return blocks


def whole(image: Image) -> Fill:
    """Fill a copy with one version, which is current, and an index."""

    def fill(copy: StaticCopy) -> None:
        copy.put_data(FILE, data(image))
        copy.put_again(CURRENT, FILE)
        copy.put_index("index.json", b"{}")

    return fill


def index_only(copy: StaticCopy) -> None:
    copy.put_index("index.json", b"{}")


def files(out: Path) -> set[str]:
    found = (path.relative_to(out) for path in out.rglob("*") if path.is_file())
    return {str(path) for path in found} - {static_copy.MARKER}


def test_a_copy_has_the_data_with_its_checksum(out: Path, image: Image) -> None:
    report = copy(out, whole(image))

    assert (out / FILE).read_bytes() == BYTES
    assert (out / CURRENT).read_bytes() == BYTES
    assert (
        out / f"{FILE}.sha256"
    ).read_text() == f"{data(image).sha256}  debian-13-1.raw\n"
    assert report == Report(copied=1)


def test_the_current_version_takes_no_space_of_its_own(out: Path, image: Image) -> None:
    copy(out, whole(image))

    assert (out / CURRENT).samefile(out / FILE)


def test_the_data_of_the_store_is_linked_only_if_that_is_wanted(
    out: Path, image: Image
) -> None:
    copy(out / "copied", whole(image))
    copy(out / "shared", whole(image), Method.SHARE)
    report = copy(out / "linked", whole(image), Method.LINK)

    assert not (out / "copied" / FILE).samefile(stored(image))
    assert not (out / "shared" / FILE).samefile(stored(image))
    assert (out / "linked" / FILE).samefile(stored(image))
    assert report == Report(shared=1)


def test_a_link_that_was_not_finished_is_not_written_through(
    out: Path, image: Image
) -> None:
    copy(out, index_only)
    part = out / f"{FILE}.part"
    part.parent.mkdir(parents=True)
    part.hardlink_to(stored(image))  # of a run with LINK that was killed

    copy(out, whole(image))

    assert stored(image).read_bytes() == BYTES
    assert not (out / FILE).samefile(stored(image))


def test_a_second_copy_keeps_what_is_there(out: Path, image: Image) -> None:
    copy(out, whole(image))
    before = {path: os.stat(out / path) for path in files(out)}

    report = copy(out, whole(image))

    assert report == Report(present=1)
    assert {path: os.stat(out / path) for path in files(out)} == before


def test_a_file_without_its_checksum_file_is_copied_again(
    out: Path, image: Image
) -> None:
    copy(out, whole(image))
    (out / FILE).write_bytes(BYTES.upper())  # as long, and not known to be complete
    (out / f"{FILE}.sha256").unlink()

    copy(out, whole(image))

    assert (out / FILE).read_bytes() == BYTES


def test_another_image_of_the_same_version_replaces_the_data(
    out: Path, image: Image, make_image: Any
) -> None:
    other = make_image("active", data=BYTES.upper())
    copy(out, whole(image))

    copy(out, lambda copy: copy.put_data(FILE, data(other, BYTES.upper())))

    assert (out / FILE).read_bytes() == BYTES.upper()


def test_a_version_that_is_no_longer_published_stays_but_its_indexes_go(
    out: Path, image: Image
) -> None:
    copy(out, whole(image))

    report = copy(out, index_only)

    assert files(out) == {FILE, f"{FILE}.sha256", "index.json"}
    assert report == Report(removed=1, unlisted=2)


def test_with_delete_only_what_is_published_is_left(out: Path, image: Image) -> None:
    copy(out, whole(image))
    (out / "images" / "killed.raw.part").write_bytes(b"")

    copy(out, index_only, delete=True)

    assert files(out) == {"index.json"}
    assert not (out / "images").exists()


def test_a_copy_that_fails_leaves_the_former_files(out: Path, image: Image) -> None:
    copy(out, whole(image))
    before = files(out)
    stored(image).unlink()

    def fill(copy: StaticCopy) -> None:
        copy.put_data("images/debian-13/2/debian-13-2.raw", data(image))
        copy.put_index("index.json", b"new")

    with pytest.raises(errors.DataMissing):
        copy(out, fill)

    assert files(out) == before
    assert (out / "index.json").read_bytes() == b"{}"


def test_damaged_data_is_refused(out: Path, image: Image) -> None:
    stored(image).write_bytes(BYTES.upper())

    with pytest.raises(errors.DataDamaged, match="image_verify"):
        copy(out, whole(image))

    assert files(out) == set()


def test_a_full_disk_leaves_the_former_files(
    small_disk: Path, image: Image, make_image: Any
) -> None:
    out = small_disk / "copy"
    copy(out, whole(image))
    before = files(out)
    content = os.urandom(9 << 20)
    large = make_image("active", data=content)

    def fill(copy: StaticCopy) -> None:
        copy.put_data("images/debian-13/2/debian-13-2.raw", data(large, content))
        copy.put_index("index.json", b"new")

    with pytest.raises(errors.StoreFull):
        copy(out, fill)

    assert files(out) == before
    assert (out / "index.json").read_bytes() == b"{}"
    assert copy(out, whole(image)) == Report(present=1)


def test_a_folder_with_other_files_is_refused(out: Path, image: Image) -> None:
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")

    with pytest.raises(errors.Conflict, match="other files"):
        copy(out, whole(image), delete=True)

    assert files(out) == {"thesis.txt"}


def test_two_processes_do_not_write_one_copy(out: Path, image: Image) -> None:
    with (
        static_copy.opened(out, Method.COPY, _unwatched),
        pytest.raises(errors.Conflict, match="Another process"),
    ):
        copy(out, whole(image))


@pytest.mark.parametrize("path", ["../others", "{folder}/others"])
def test_no_file_outside_of_the_folder_is_removed(
    path: str, out: Path, image: Image, tmp_path: Path
) -> None:
    copy(out, whole(image))
    others = tmp_path / "others"
    others.write_text("somebody else's")
    with (out / static_copy.MARKER).open("a") as marker:
        marker.write(path.format(folder=tmp_path) + "\n")

    copy(out, whole(image))

    assert others.exists()


def test_links_in_the_folder_do_not_lead_out_of_it(
    out: Path, image: Image, tmp_path: Path
) -> None:
    copy(out, index_only)
    others = tmp_path / "others"
    others.write_text("somebody else's")
    (out / "index.json").unlink()
    (out / "index.json.part").symlink_to(others)
    (out / "images").symlink_to(tmp_path)

    copy(out, index_only)
    with pytest.raises(errors.Conflict, match="images is a symbolic link"):
        copy(out, whole(image))

    assert others.read_text() == "somebody else's"
