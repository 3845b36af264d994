"""image_export: whole and verified files with sidecars, from which image_import makes the same."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from images import lifecycle, stores
from images.access import Caller
from images.models import Image, ImageLocation, Status

pytestmark = pytest.mark.django_db

DATA = b"some bytes" * 1000


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The output of ``run("export", …)`` or ``run("import", …)``, both streams."""

    def run_it(verb: str, *words: object) -> str:
        try:
            call_command(f"image_{verb}", *map(str, words))
        except CommandError as error:
            return "".join(capsys.readouterr()) + f"CommandError: {error}"
        return "".join(capsys.readouterr())

    return run_it


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder))


def damage(image: Image, data: bytes) -> None:
    location = ImageLocation.objects.get(image=image)
    store = stores.get(location.store)
    (store.root / location.key).write_bytes(data)  # type: ignore[attr-defined]


def test_an_image_of_no_bytes_becomes_an_empty_file(
    run: Any, member: Caller, out: Path
) -> None:
    fields = {"name": "empty", "disk_format": "raw", "container_format": "bare"}
    image = lifecycle.create(fields, {}, [], member, size=0)

    run("export", image.pk, "--to", f"{out}/")

    assert (out / "empty.raw").read_bytes() == b""


def test_an_image_becomes_a_file_with_a_sidecar(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active", DATA, name="debian", properties={"a": "b"}, tags=["t"])

    output = run("export", image.pk, "--to", f"{out}/")

    assert (out / "debian.raw").read_bytes() == DATA
    said = json.loads((out / "debian.raw.json").read_text())
    assert (said["id"], said["properties"], said["tags"]) == (
        image.pk,
        {"a": "b"},
        ["t"],
    )
    assert said["digests"] == {"sha512": image.os_hash_value, "md5": image.checksum}
    assert names(out) == {"debian.raw", "debian.raw.json"}
    assert f"{image.pk}: exported to {out}/debian.raw" in output


def test_one_image_can_go_to_a_file_of_any_name(
    run: Any, make_image: Any, tmp_path: Path
) -> None:
    image = make_image("active", DATA)

    run("export", image.pk, "--to", tmp_path / "x", "--no-metadata")

    assert (tmp_path / "x").read_bytes() == DATA
    assert "x.json" not in names(tmp_path)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a/../../b", "a_.._.._b.raw"),
        ("..", "{id}.raw"),
        (None, "{id}.raw"),
        ("", "{id}.raw"),
        ("-rf", "rf.raw"),
        (".hidden", "hidden.raw"),
        ("a\nb\x1b$(c)", "a_b__(c).raw"),
        ("disk.raw", "disk.raw"),
        ("Gr\u00fc\u00df \u4f60", "Gr\u00fc\u00df \u4f60.raw"),
        ("x" * 255, "x" * 150 + ".raw"),
    ],
)
def test_the_name_of_a_file_is_harmless(
    run: Any, make_image: Any, out: Path, name: str | None, file: str
) -> None:
    image = make_image("active", DATA, name=name)

    run("export", "--all", "--to", out, "--no-metadata")

    assert names(out) == {file.format(id=image.pk)}


@pytest.mark.parametrize("more", [(), ("--no-metadata",)])
def test_images_of_one_name_do_not_overwrite_each_other(
    run: Any, make_image: Any, out: Path, more: tuple[str, ...]
) -> None:
    first, second = sorted((make_image("active", name="a") for _ in "12"), key=by_id)

    run("export", "--all", "--to", out, *more)

    found = {name for name in names(out) if not name.endswith(".json")}
    assert found == {"a.raw", f"a-{second.pk}.raw"}
    again = run("export", "--all", "--to", out, "--skip-existing", *more)
    assert "0 exported (0 bytes), 2 already present, 0 failed" in again


def by_id(image: Image) -> str:
    return image.pk


def test_a_file_of_another_image_keeps_its_name(
    run: Any, make_image: Any, out: Path
) -> None:
    first, second = (make_image("active", name="a") for _ in "12")
    run("export", first.pk, "--to", f"{out}/")

    run("export", second.pk, "--to", out, "--force")

    assert json.loads((out / "a.raw.json").read_text())["id"] == first.pk
    assert f"a-{second.pk}.raw" in names(out)


def test_all_can_be_narrowed(run: Any, make_image: Any, out: Path) -> None:
    make_image("active", name="a", owner="p1")
    make_image("deactivated", name="b", owner="p1")
    make_image("active", name="c", owner="p2")
    for status in ("queued", "saving", "pending_delete", "deleted"):
        make_image(status, name=status, owner="p1")

    words = ("--status", "active", "--owner", "p1")
    run("export", "--all", "--to", out, *words, "--no-metadata")
    assert names(out) == {"a.raw"}
    output = run("export", "--all", "--to", out, "--skip-existing", "--no-metadata")
    assert names(out) == {"a.raw", "b.raw", "c.raw"}
    assert "2 exported" in output


def test_an_empty_catalogue_has_nothing_to_export(
    run: Any, db: None, out: Path
) -> None:
    assert "0 exported" in run("export", "--all", "--to", out)


@pytest.mark.parametrize(
    "words",
    [(), ("--all", "x"), ("x", "--status", "active"), ("x", "--owner", "p")],
)
def test_contradictions_are_refused(
    run: Any, out: Path, words: tuple[str, ...]
) -> None:
    assert "CommandError" in run("export", *words, "--to", out)
    assert not out.exists()


# Never overwritten, never half


def test_a_file_is_never_overwritten_unless_forced(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active", DATA, name="a")
    out.mkdir()
    (out / "a.raw").write_text("precious")

    assert "a.raw exists" in run("export", image.pk, "--to", out)
    assert "a.raw exists" in run("export", image.pk, "--to", out, "--skip-existing")
    assert (out / "a.raw").read_text() == "precious"

    run("export", image.pk, "--to", out, "--force")
    assert (out / "a.raw").read_bytes() == DATA


def test_a_json_file_that_is_no_sidecar_is_not_overwritten(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active", DATA, name="a")
    out.mkdir()
    (out / "a.raw.json").write_text("precious")

    assert "is not a sidecar" in run("export", image.pk, "--to", out)
    assert names(out) == {"a.raw.json"}


@pytest.mark.parametrize("data", [b"x" * len(DATA), DATA[:-1], DATA + b"x"])
def test_damaged_bytes_leave_no_file(
    run: Any, make_image: Any, out: Path, data: bytes
) -> None:
    image = make_image("active", DATA)
    damage(image, data)

    output = run("export", image.pk, "--to", f"{out}/")

    assert f"{image.pk}: The data is damaged" in output
    assert "CommandError" in output
    assert names(out) == set()


def test_missing_bytes_leave_no_file_and_do_not_stop_the_others(
    run: Any, make_image: Any, out: Path
) -> None:
    good, bad = make_image("active", name="good"), make_image("active", name="bad")
    location = ImageLocation.objects.get(image=bad)
    stores.get(location.store).delete(location.key)

    output = run("export", bad.pk, good.pk, "nonsense", "--to", out)

    assert f"{bad.pk}: The data is no longer in the store." in output
    assert "nonsense: No image found" in output
    assert "1 exported" in output
    assert names(out) == {"good.raw", "good.raw.json"}


def test_data_in_a_store_that_is_not_configured_is_told_to_its_operator(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active")
    image.locations.update(store="cold")

    said = run("export", image.pk, "--to", out)

    assert "'cold', which is not configured. Add it to IMAGECATALOG_STORES." in said
    assert "operator" not in said


def test_a_failed_overwrite_leaves_the_old_file(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active", DATA, name="a")
    run("export", image.pk, "--to", f"{out}/")
    damage(image, b"x")

    run("export", image.pk, "--to", out, "--force")

    assert (out / "a.raw").read_bytes() == DATA
    assert names(out) == {"a.raw", "a.raw.json"}


@pytest.mark.parametrize("status", ["queued", "saving", "pending_delete", "deleted"])
def test_an_image_without_data_is_a_failure(
    run: Any, make_image: Any, out: Path, status: str
) -> None:
    assert "CommandError" in run("export", make_image(status).pk, "--to", f"{out}/")
    assert names(out) == set()


def test_a_folder_that_does_not_exist_for_a_file_is_told(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active")

    assert "No such file or directory" in run("export", image.pk, "--to", out / "a/b")


# Resumed


def test_an_export_that_died_is_resumed(run: Any, make_image: Any, out: Path) -> None:
    done, half = make_image("active", name="done"), make_image("active", name="half")
    run("export", done.pk, "--to", f"{out}/")
    (out / "half.raw.part").write_bytes(DATA * 9)

    output = run("export", "--all", "--to", out, "--skip-existing")

    assert f"{done.pk}: is already in" in output
    assert f"{half.pk}: exported to" in output
    assert "half.raw.part" not in names(out)
    assert (out / "half.raw").read_bytes() == b"".join(lifecycle.read(half.pk))


def test_a_file_without_its_sidecar_is_read_to_know_it(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active", DATA, name="a")
    run("export", image.pk, "--to", f"{out}/")
    (out / "a.raw.json").unlink()

    assert "1 already present" in run(
        "export", image.pk, "--to", out, "--skip-existing"
    )
    assert "a.raw.json" in names(out)


def test_a_sidecar_that_is_out_of_date_is_renewed(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active", DATA, name="a")
    run("export", image.pk, "--to", f"{out}/")
    Image.objects.filter(pk=image.pk).update(tags=["new"])

    run("export", image.pk, "--to", out, "--skip-existing")

    assert json.loads((out / "a.raw.json").read_text())["tags"] == ["new"]


def test_a_file_that_is_shorter_than_its_sidecar_says_is_not_passed_over(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active", DATA, name="a")
    run("export", image.pk, "--to", f"{out}/")
    (out / "a.raw").write_bytes(DATA[:-1])

    assert "a.raw exists" in run("export", image.pk, "--to", out, "--skip-existing")


def test_two_exports_do_not_write_one_file(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active", DATA, name="a")
    out.mkdir()
    with (out / "a.raw.part").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        assert "Another export" in run("export", image.pk, "--to", out)

    assert names(out) == {"a.raw.part"}


# There and back


def test_an_exported_catalogue_can_be_imported_into_an_empty_one(
    run: Any, make_image: Any, out: Path
) -> None:
    make_image("active", DATA, name="a", properties={"k": "v"})
    make_image("active", DATA, name="a", tags=["s", "t"], visibility="public")
    make_image("deactivated", b"other", name="b/c", min_ram=5, os_hidden=True)
    make_image("active", b"", name=None, owner="p2", protected=True)
    make_image("active", DATA, name="\u00e9\n", properties={"os_glance_x": "y"})
    before = catalogue()
    run("export", "--all", "--to", out)
    Image.objects.all().delete()

    output = run("import", out, "--keep-ids")

    assert "5 imported, 0 already present, 0 skipped, 0 failed." in output
    assert catalogue() == before


def catalogue() -> dict[str, object]:
    columns = "name owner visibility disk_format container_format min_ram min_disk"
    more = "protected os_hidden tags status size checksum os_hash_value"
    found = {}
    for image in Image.objects.all():
        kept = {k: v for k, v in image.properties.items() if not k.startswith("os_g")}
        values = [getattr(image, it) for it in (columns + " " + more).split()]
        found[image.pk] = values, kept, b"".join(lifecycle.read(image.pk))
    return found


def test_a_copy_has_a_new_id_and_a_damaged_one_is_refused(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active", DATA, name="a")
    run("export", image.pk, "--to", f"{out}/")

    assert "1 imported" in run("import", out)
    assert Image.objects.count() == 2
    assert "already exists" in run("import", out, "--keep-ids")
    assert "1 already present" in run("import", out, "--skip-existing")
    (out / "a.raw").write_bytes(DATA[::-1])
    assert "its sha512 digest is" in run("import", out)
    (out / "a.raw").write_bytes(DATA[:-1])
    assert "its sidecar says" in run("import", out)
    assert Image.objects.existing().filter(status=Status.ACTIVE).count() == 2


def test_options_go_before_the_sidecar(run: Any, make_image: Any, out: Path) -> None:
    image = make_image("active", DATA, name="a", properties={"k": "old", "l": "1"})
    run("export", image.pk, "--to", f"{out}/")

    run("import", out, "--owner", "p9", "--property", "k=new", "--tag", "t")

    copy = Image.objects.exclude(pk=image.pk).get()
    assert (copy.owner, copy.properties) == ("p9", {"k": "new", "l": "1"})
    assert copy.tags == ["t"]


def test_a_protected_image_whose_import_fails_leaves_nothing(
    run: Any, make_image: Any, out: Path
) -> None:
    image = make_image("active", DATA, name="a", protected=True)
    run("export", image.pk, "--to", f"{out}/")
    (out / "a.raw").write_bytes(DATA[::-1])

    run("import", out)

    assert Image.objects.existing().get() == image
