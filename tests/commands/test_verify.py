"""image_verify as an operator sees it: finds damage, goes on where it stopped, keeps to its rate."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from images import stores
from images.models import Event, Image, ImageLocation
from tests import servers
from tests.locations import overwrite
from tests.web import serving_files

MIB = 1 << 20


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """The exit code and the lines of ``image_verify ARGUMENTS``."""

    def run(*arguments: str) -> tuple[int, list[str]]:
        code = 0
        try:
            call_command("image_verify", *arguments)
        except CommandError as error:
            code = error.returncode
        return code, capsys.readouterr().out.splitlines()

    return run


@pytest.fixture(params=["folder", "objects"])
def store(request: pytest.FixtureRequest, settings: Any) -> stores.Store:
    """The default store, once of each kind."""
    if request.param == "objects":
        s3 = request.getfixturevalue("s3")
        settings.IMAGECATALOG_STORES = s3.store(prefix=f"verify-{uuid4().hex}")
    return stores.default()


def damage(image: Image, data: bytes) -> str:
    location = image.locations.get()
    overwrite(location, data)
    return location.key


def summary(good: int = 0, damaged: int = 0, none: int = 0, unread: int = 0) -> str:
    return (
        f"{good} good, {damaged} damaged, {none} no digest, {unread} could not be read"
    )


def test_an_empty_catalogue_has_nothing_to_verify(db: None, run: Any) -> None:
    assert run() == (0, [summary()])


@pytest.mark.parametrize("status", ["active", "deactivated"])
def test_good_bytes_are_good(
    status: str, make_image: Any, store: stores.Store, run: Any
) -> None:
    make_image(status=status)

    assert run() == (0, [summary(good=1)])
    assert ImageLocation.objects.get().verified_at
    assert not Event.objects.exists()


def test_the_bytes_of_a_deleted_image_that_can_be_restored_are_verified(
    make_image: Any, run: Any
) -> None:
    make_image(status="pending_delete")
    ImageLocation.objects.update(status="pending_delete")

    assert run() == (0, [summary(good=1)])


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"the bytes of an imagE", "wrong-digest"), (b"the", "wrong-size")],
)
def test_damage_is_one_line_and_is_noted(
    data: bytes, kind: str, make_image: Any, store: stores.Store, run: Any
) -> None:
    image = make_image(status="active")
    make_image(status="active")
    key = damage(image, data)

    code, lines = run()

    assert code == 1
    assert lines[0].startswith(f"{image.pk} {store.id} {key} {kind}: ")
    assert lines[1] == summary(good=1, damaged=1)
    assert image.locations.get().damage.startswith(kind)
    assert Event.objects.get().verb == "verify"


def test_missing_bytes_are_damage(
    make_image: Any, store: stores.Store, run: Any
) -> None:
    image = make_image(status="active")
    store.delete(image.locations.get().key)

    code, lines = run()

    assert (code, lines[-1]) == (1, summary(damaged=1))
    assert "missing-bytes" in image.locations.get().damage


def test_damage_that_was_repaired_is_forgotten(make_image: Any, run: Any) -> None:
    image = make_image(status="active")
    damage(image, b"x")
    run()

    damage(image, b"the bytes of an image")

    assert run()[0] == 0
    assert image.locations.get().damage == ""


def test_an_image_without_digests_is_counted_apart(make_image: Any, run: Any) -> None:
    make_image(status="active", checksum=None, os_hash_value=None, os_hash_algo=None)

    assert run() == (0, [summary(none=1)])


def test_what_was_not_verified_for_the_longest_time_comes_first(
    make_image: Any, run: Any
) -> None:
    recent, never, old = (make_image(status="active") for _ in range(3))
    now = timezone.now()
    for image, days in ((recent, 1), (old, 9)):
        image.locations.update(verified_at=now - timedelta(days=days))
        damage(image, b"x")
    damage(never, b"x")

    _, lines = run()

    assert [line.split()[0] for line in lines[:3]] == [never.pk, old.pk, recent.pk]


def test_what_was_verified_lately_can_be_left_out(make_image: Any, run: Any) -> None:
    make_image(status="active")
    make_image(status="active")
    assert run("--limit", "1") == (0, [summary(good=1)])

    assert run("--older-than", "7") == (0, [summary(good=1)])
    assert run("--older-than", "1w") == (0, [summary()])


def test_more_copies_than_one_batch_are_each_verified_once(
    make_image: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images.operations.consistency.data_checks.BATCH", 2)
    for number in range(9):
        image = make_image(status="active")
        if number % 2:
            image.locations.update(verified_at=timezone.now() - timedelta(days=number))

    assert run() == (0, [summary(good=9)])


def test_only_the_images_that_were_asked_for_are_verified(
    make_image: Any, run: Any
) -> None:
    make_image(status="active")
    image = make_image(status="active")

    assert run(image.pk) == (0, [summary(good=1)])
    assert run(str(uuid4()))[0] == 1


def test_only_the_store_that_was_asked_for_is_verified(
    make_image: Any, run: Any, settings: Any, data_dir: Path
) -> None:
    make_image(status="active")
    settings.IMAGECATALOG_STORES += f",other=file://{data_dir}/other"

    assert run("--store", "other") == (0, [summary()])
    assert run("--store", "third")[0] == 1


def test_a_store_that_is_away_is_no_damage(
    make_image: Any, run: Any, settings: Any
) -> None:
    for _ in range(5):
        make_image(status="active")
    settings.IMAGECATALOG_STORES = "other=file:///nowhere"

    code, lines = run()

    assert (code, lines[-1]) == (1, summary(unread=5))
    assert len(lines) == 4  # after three failures it is left alone
    assert not ImageLocation.objects.exclude(verified_at=None).exists()


@pytest.mark.parametrize("rate", ["2", "2048KiB"])
def test_the_rate_is_kept(make_image: Any, run: Any, rate: str) -> None:
    make_image(status="active", data=bytes(MIB))
    began = time.monotonic()

    run("--rate", rate)

    assert 0.45 < time.monotonic() - began < 30


@pytest.mark.parametrize(
    "arguments",
    [
        ("--rate", "0"),
        ("--rate", "x"),
        ("--rate", "1.2.3"),
        ("--older-than", "-1"),
        ("--older-than", "101y"),
        ("--older-than", "36501"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(
    arguments: tuple[str, str], db: None, run: Any
) -> None:
    assert run(*arguments)[0] == 1


@pytest.mark.slow
def test_after_ctrl_c_the_next_run_goes_on(tmp_path: Path) -> None:
    env = os.environ | {"IMAGECATALOG_DATA_DIR": str(tmp_path)}
    env.pop("DATABASE_URL", None)
    servers.make_database(tmp_path)
    manage(env, "shell", "--verbosity=0", "-c", FILL)
    slow = subprocess.Popen(
        [sys.executable, "manage.py", "image_verify", "--rate", "1"],
        cwd=servers.ROOT,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        # A run in the background of a shell ignores SIGINT, and its children would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not verified(tmp_path):
        time.sleep(0.1)
    slow.send_signal(signal.SIGINT)
    out, _ = slow.communicate(timeout=60)
    assert slow.returncode == 130, out
    assert "Stopped." in out
    first = int(out.partition(" good")[0])

    rest = manage(env, "image_verify", "--older-than", "1")

    assert 0 < first < 30
    assert rest.startswith(f"{30 - first} good")


FILL = """
from images import lifecycle
from images.access import operator
fields = {"disk_format": "raw", "container_format": "bare"}
for _ in range(30):
    image = lifecycle.create(fields, {}, [], operator("test"))
    lifecycle.upload(image.pk, [bytes(1 << 20)], operator("test"))
"""


def verified(data_dir: Path) -> int:
    with closing(sqlite3.connect(data_dir / "catalogue.sqlite3")) as database:
        counted = "SELECT count(*) FROM images_imagelocation WHERE verified_at NOT NULL"
        return int(database.execute(counted).fetchone()[0])


def manage(env: dict[str, str], *command: str) -> str:
    done = servers.manage(env, *command)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Data at a URL that was active before it was ever read


@pytest.fixture
def unread(tmp_path: Path, settings: Any, make_image: Any) -> Iterator[Image]:
    """An active image without digests, whose data is at a URL."""
    data = b"the bytes of an image"
    unknown = dict.fromkeys(("checksum", "os_hash_algo", "os_hash_value"))
    with serving_files(tmp_path / "web", settings, image=data) as url:
        image = make_image("active", **unknown)
        image.locations.update(store="http", key=f"{url}/image")
        yield image


def test_data_that_was_never_read_is_digested(unread: Image, run: Any) -> None:
    assert run() == (0, [summary(good=1)])

    image = Image.objects.get()
    assert image.os_hash_value == hashlib.sha512(b"the bytes of an image").hexdigest()
    assert (image.virtual_size, image.status) == (21, "active")
    assert Event.objects.get().detail["checksum"] == [None, image.checksum]
    assert run() == (0, [summary(good=1)])
    assert Event.objects.count() == 1


def test_data_that_was_never_read_and_is_refused_is_damage(
    unread: Image, run: Any
) -> None:
    Image.objects.update(disk_format="qcow2")

    code, lines = run()

    assert (code, lines[-1]) == (1, summary(damaged=1))
    assert "refused-data: Image disk_format" in lines[0]
    assert Image.objects.get().checksum is None


def test_data_of_a_trusted_owner_stays_without_digests(
    unread: Image, run: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_LOCATION_DATA = "trust"

    assert run() == (0, [summary(none=1)])
    assert Image.objects.get().checksum is None


def test_one_of_several_copies_that_were_never_read_does_not_decide(
    unread: Image, run: Any
) -> None:
    unread.locations.create(store="http", key=f"{unread.locations.get().key}?again")

    assert run() == (0, [summary(none=2)])
