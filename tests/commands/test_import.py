"""image_import: files, folders and web addresses become images, or nothing is left of them."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import signal
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from imagecatalog.identity.models import Project
from images import lifecycle, stores
from images.errors import StoreFull
from images.models import Event, Image, Status
from tests.web import allow_in_process

pytestmark = pytest.mark.django_db

RAW = b"no format at all" * 1000
QCOW2 = struct.pack(">4sIQIIQ", b"QFI\xfb", 2, 0, 0, 16, 1 << 30).ljust(4096, b"\0")
GPT = bytes(446) + b"\0\0\2\0\xee\xff\xff\xff\1\0\0\0" + b"\xff\0\0\0"
GPT = GPT.ljust(510, b"\0") + b"\x55\xaa" + bytes(4096)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command's output, both streams; ``owner`` is given unless another one is."""

    def run_it(*words: object, owner: tuple[str, ...] = ("--owner", "p1")) -> str:
        try:
            call_command("image_import", *map(str, words), *owner)
        except CommandError as error:
            return "".join(capsys.readouterr()) + f"CommandError: {error}"
        return "".join(capsys.readouterr())

    return run_it


@pytest.fixture
def web(files: Path, settings: Any) -> Iterator[str]:
    """The URL of a web server on loopback that has the files, and may be asked."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

    handler = functools.partial(Quiet, directory=files)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        allow_in_process(settings, url)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield url
        server.shutdown()


def make(path: Path, data: bytes = RAW) -> Path:
    path.write_bytes(data)
    return path


def only_image() -> Image:
    return Image.objects.get()


def stored(data_dir: Path) -> list[Path]:
    return [it for it in (data_dir / "images").glob("*/*") if it.is_file()]


def nothing_left(data_dir: Path) -> bool:
    return not stored(data_dir) and not Image.objects.existing().exists()


# What it becomes


def test_a_file_becomes_an_active_image(run: Any, files: Path) -> None:
    output = run(make(files / "debian 13.img"))

    image = only_image()
    assert (image.name, image.disk_format, image.owner) == ("debian 13", "raw", "p1")
    assert image.status == Status.ACTIVE
    assert b"".join(lifecycle.read(image.pk)) == RAW
    assert output.startswith(f"{image.pk}: ")
    assert "1 imported, 0 already present, 0 skipped, 0 failed." in output


def test_options_say_what_it_is(run: Any, files: Path) -> None:
    words = "--name x --visibility public --container-format ova --disk-format vmdk"
    more = "--property a=b=c --property d= --tag t --tag s"
    new = "01234567-89ab-cdef-0123-456789abcdef"

    run(make(files / "a.raw"), *words.split(), *more.split(), "--id", new)

    image = only_image()
    assert (image.pk, image.name, image.visibility) == (new, "x", "public")
    assert (image.container_format, image.disk_format) == ("ova", "vmdk")
    assert image.properties == {"a": "b=c", "d": ""}
    assert image.tags == ["s", "t"]


@pytest.mark.parametrize(
    ("name", "data", "disk_format"),
    [
        ("wrong.img", QCOW2, "qcow2"),
        ("none", QCOW2, "qcow2"),
        ("disk", GPT, "raw"),
        ("kernel.AKI", RAW, "aki"),
        ("what.bin", RAW, "raw"),
    ],
)
def test_the_format_is_told_by_content_then_by_name(
    run: Any, files: Path, name: str, data: bytes, disk_format: str
) -> None:
    output = run(make(files / name, data))

    assert only_image().disk_format == disk_format
    assert ("raw is assumed" in output) == (name == "what.bin")


def test_a_file_that_is_not_what_its_name_says_is_refused(
    run: Any, files: Path, data_dir: Path
) -> None:
    output = run(make(files / "broken.qcow2"))

    assert "does not match stream data raw" in output
    assert nothing_left(data_dir)


@pytest.mark.parametrize("text", ["ops", "project-of-ops"])
def test_the_owner_can_be_a_project_by_name_or_id(
    run: Any, files: Path, text: str
) -> None:
    Project.objects.create(id="project-of-ops", name="ops")

    run(make(files / "a.raw"), owner=("--project", text))

    assert only_image().owner == "project-of-ops"


def test_an_unknown_project_is_refused(run: Any, files: Path) -> None:
    output = run(make(files / "a.raw"), owner=("--project", "nobody"))

    assert "There is no project nobody" in output
    assert not Image.objects.exists()


def test_the_only_project_is_the_owner_when_nobody_is_named(
    run: Any, files: Path
) -> None:
    Project.objects.create(id="p", name="ops")

    run(make(files / "a.raw"), owner=())

    assert only_image().owner == "p"


def test_an_image_is_never_made_everybodys_by_accident(run: Any, files: Path) -> None:
    output = run(make(files / "a.raw"), owner=())

    assert "The image has no owner" in output
    assert not Image.objects.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--property", "novalue"),
        ("--property", "status=active"),
        ("--store", "nowhere"),
        ("--store", "http"),
        ("--checksum", "sha256:12"),
        ("--checksum", "crc:12"),
        ("--id", "1"),
    ],
)
def test_nonsense_is_refused_before_anything_is_read(
    run: Any, files: Path, words: tuple[str, str]
) -> None:
    assert "CommandError" in run(make(files / "a.raw"), *words)
    assert not Image.objects.exists()


def test_a_name_is_for_one_source_only(run: Any, files: Path) -> None:
    assert "one file or one URL" in run(files, "--name", "x")


def test_a_dry_run_changes_nothing(run: Any, files: Path) -> None:
    output = run(make(files / "a.raw"), "--dry-run")

    assert "would become a (raw/bare, 16000 bytes, owner p1)" in output
    assert not Image.objects.exists()


# Verified, and nothing left of a failure


def test_the_right_checksum_passes(run: Any, files: Path) -> None:
    value = hashlib.sha256(RAW).hexdigest().upper()

    run(make(files / "a.raw"), "--checksum", f"SHA256:{value}")

    assert only_image().status == Status.ACTIVE


def test_another_checksum_leaves_nothing(run: Any, files: Path, data_dir: Path) -> None:
    output = run(make(files / "a.raw"), "--checksum", f"md5:{'0' * 32}")

    assert "its md5 digest is" in output
    assert "CommandError" in output
    assert nothing_left(data_dir)


def test_the_history_keeps_why_an_import_failed(run: Any, files: Path) -> None:
    run(make(files / "a.raw"), "--checksum", f"md5:{'0' * 32}")

    last = Event.objects.latest("pk")
    assert (last.verb, last.interface) == ("delete", "command")
    assert "its md5 digest is" in last.reason


def test_an_import_with_an_id_can_be_repeated(run: Any, files: Path) -> None:
    new = "01234567-89ab-cdef-0123-456789abcdef"
    path = make(files / "a.raw")
    run(path, "--id", new, "--checksum", f"md5:{'0' * 32}", "--property", "old=1")
    assert only_image().status == Status.QUEUED

    run(path, "--id", new, "--property", "new=1", "--tag", "t")

    image = only_image()
    assert (image.status, image.pk) == (Status.ACTIVE, new)
    assert (image.properties, image.tags) == ({"new": "1"}, ["t"])


def test_an_id_that_is_taken_is_left_alone(
    run: Any, files: Path, make_image: Any
) -> None:
    image = make_image("active", owner="p1")

    output = run(make(files / "a.raw"), "--id", image.pk)

    assert "already exists" in output
    assert only_image().checksum == image.checksum


def test_a_queued_image_of_somebody_else_is_left_alone(
    run: Any, files: Path, make_image: Any
) -> None:
    image = make_image("queued", owner="p2")

    assert "already exists" in run(make(files / "a.raw"), "--id", image.pk)
    assert only_image().status == Status.QUEUED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_that_is_stopped_leaves_nothing(
    run: Any,
    files: Path,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    def interrupted(blocks: Iterator[bytes], *args: Any, what: str) -> Iterator[bytes]:
        yield next(blocks)
        os.kill(os.getpid(), number)
        yield from blocks

    monkeypatch.setattr("images.management.commands.image_import.watched", interrupted)

    with pytest.raises(SystemExit, match=str(128 + number)):
        run(make(files / "a.raw"))

    assert nothing_left(data_dir)


def test_one_that_fails_does_not_stop_the_others(run: Any, files: Path) -> None:
    make(files / "a.qcow2")
    make(files / "b.raw")

    output = run(files, files / "missing.raw")

    assert "1 imported, 0 already present, 0 skipped, 2 failed." in output
    assert "No such file" in output
    assert Image.objects.existing().get().name == "b"


def test_a_full_store_is_told_and_leaves_nothing(
    run: Any, files: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise StoreFull("The store is full.")

    monkeypatch.setattr(type(stores.default()), "put", full)

    assert "The store is full" in run(make(files / "a.raw"))
    assert nothing_left(data_dir)


# Folders and odd files


def test_of_a_folder_come_the_files_that_look_like_images(
    run: Any, files: Path
) -> None:
    make(files / "a.raw")
    make(files / "no-ending", QCOW2)
    make(files / "README.txt")
    make(files / ".hidden.raw")
    make(files / "b.raw.part")
    (files / "inner").mkdir()
    make(files / "inner" / "c.raw")

    output = run(files)

    assert {it.name for it in Image.objects.all()} == {"a", "no-ending"}
    assert "2 imported, 0 already present, 4 skipped, 0 failed." in output


def test_folders_in_folders_are_entered_when_asked(run: Any, files: Path) -> None:
    (files / "inner" / "more").mkdir(parents=True)
    make(files / "inner" / "more" / "c.raw")
    (files / "inner" / "loop").symlink_to(files)

    run(files, "--recursive")

    assert only_image().name == "c"


def test_links_and_devices_in_a_folder_are_passed_over(run: Any, files: Path) -> None:
    (files / "link.raw").symlink_to("/etc/hostname")
    os.mkfifo(files / "fifo.raw")

    output = run(files)

    assert "link.raw: skipped: it is a symbolic link" in output
    assert "fifo.raw: skipped: it is a FIFO" in output
    assert not Image.objects.exists()


def test_a_link_that_is_named_itself_is_followed(run: Any, files: Path) -> None:
    make(files / "target.raw")
    (files / "latest.raw").symlink_to("target.raw")

    run(files / "latest.raw")

    assert only_image().name == "latest"


def test_a_fifo_that_is_named_does_not_hang_the_command(run: Any, files: Path) -> None:
    os.mkfifo(files / "fifo.raw")

    assert "only regular files are imported" in run(files / "fifo.raw")


def test_a_device_is_refused(run: Any) -> None:
    assert "The source is a device" in run("/dev/zero")


def test_an_empty_file_is_no_image(run: Any, files: Path) -> None:
    assert "The source is empty" in run(make(files / "a.raw", b""))
    assert not Image.objects.exists()


def test_strange_characters_in_a_name_are_replaced_and_shown_safely(
    run: Any, files: Path
) -> None:
    make(files / os.fsdecode(b"a\n\x1b[31m\xff\xf0\x9f\x98\x80.raw"))

    output = run(files)

    assert only_image().name == "a__[31m__"
    assert "characters that are not allowed in names were replaced" in output
    assert "\x1b" not in output
    assert "a\\n\\x1b[31m\\udcff" in output


def test_a_repeated_import_passes_over_what_is_there(run: Any, files: Path) -> None:
    make(files / "a.raw")
    make(files / "same-bytes.raw")
    run(files)

    output = run(files, "--skip-existing")

    assert "0 imported, 2 already present" in output
    assert Image.objects.count() == 2


def test_a_changed_file_or_another_owner_is_imported_again(
    run: Any, files: Path
) -> None:
    path = make(files / "a.raw")
    run(path)

    assert "1 imported" in run(path, "--skip-existing", owner=("--owner", "p2"))
    make(path, RAW[::-1])
    assert "1 imported" in run(path, "--skip-existing")


def test_a_deactivated_image_is_not_brought_back_as_a_new_one(
    run: Any, files: Path, admin: Any
) -> None:
    path = make(files / "a.raw")
    run(path)
    lifecycle.deactivate(only_image().pk, admin)

    assert "1 already present" in run(path, "--skip-existing")


# Sidecars that are not ours


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"sidecar": "imagecatalog/1"}', '{"sidecar": 1}', "null", "1"],
)
def test_a_sidecar_of_somebody_else_is_refused_or_ignored(
    run: Any, files: Path, text: str
) -> None:
    path = make(files / "a.raw")
    (files / "a.raw.json").write_text(text)

    assert "The sidecar (.json) is not usable" in run(path)
    assert not Image.objects.exists()
    assert "1 imported" in run(path, "--no-metadata")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", 7),
        ("size", True),
        ("tags", "t"),
        ("properties", {"status": "active"}),
        ("properties", []),
        ("attributes", {"name": 1}),
        ("digests", {"sha512": "0"}),
        ("digests", []),
        ("digests", {"crc": "0"}),
    ],
)
def test_nothing_in_a_sidecar_is_believed(
    run: Any, files: Path, name: str, value: object
) -> None:
    path = make(files / "a.raw")
    image_id = "01234567-89ab-cdef-0123-456789abcdef"
    attributes = {
        "name": "a",
        "owner": "p",
        "visibility": "shared",
        "disk_format": "raw",
        "container_format": "bare",
        "min_ram": 0,
        "min_disk": 0,
        "protected": False,
        "os_hidden": False,
    }
    content = {"sidecar": "imagecatalog/1", "id": image_id, "status": "active"}
    content |= {"attributes": attributes, "properties": {}, "tags": [], "size": None}
    content |= {"digests": {}, name: value}
    (files / "a.raw.json").write_text(json.dumps(content))

    assert "is not usable" in run(path)
    assert not Image.objects.exists()


# The web


def test_an_url_becomes_an_image(run: Any, files: Path, web: str) -> None:
    make(files / "far away.qcow2", QCOW2)

    output = run(f"{web}/far%20away.qcow2?signature=secret")

    image = only_image()
    assert (image.name, image.disk_format) == ("far away", "qcow2")
    assert b"".join(lifecycle.read(image.pk)) == QCOW2
    assert "secret" not in output


def test_an_url_is_imported_once(run: Any, files: Path, web: str) -> None:
    make(files / "a.raw")
    run(f"{web}/a.raw")

    assert "1 already present" in run(f"{web}/a.raw", "--skip-existing")


def test_what_the_url_filter_refuses_is_not_fetched(
    run: Any, files: Path, web: str, settings: Any
) -> None:
    make(files / "a.raw")
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = ()

    said = run(f"{web}/a.raw")

    assert "does not pass filtering" in said
    assert "IMAGECATALOG_URL_ALLOWED_HOSTS and its port in IMAGECATALOG_URL_A" in said
    assert "operator" not in said
    assert not Image.objects.exists()


def test_an_url_without_a_name_needs_one(run: Any, web: str) -> None:
    assert "--name" in run(f"{web}/")


def test_what_the_web_server_does_not_have_is_a_failure(run: Any, web: str) -> None:
    assert "does not have this data" in run(f"{web}/gone.raw")
