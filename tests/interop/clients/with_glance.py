"""The command ``glance``: stores, import, tasks, usage, cache and metadata definitions."""

from __future__ import annotations

import re

from signing_in import DISK, FOLDER, WEB, done, run, wait

FORMATS = ("--disk-format", "raw", "--container-format", "bare")


def glance(*words: object) -> str:
    return run("glance", *map(str, words))


def value(table: str, name: str) -> str:
    """The value of a property in a table that the command has printed."""
    found = re.search(rf"^\| {name} +\| (.*?) +\|$", table, re.MULTILINE)
    assert found, f"{name} is missing in {table}"
    return found[1]


def status(image: str) -> str:
    return value(glance("image-show", image), "status")


assert "cold" in glance("stores-info")
assert "weight" in glance("stores-info", "--detail")
assert "copy-image" in glance("import-info")
done("stores-info, import-info")

direct = glance(
    "image-create-via-import", "--import-method", "glance-direct",
    *FORMATS, "--name", "direct", "--file", DISK,
)  # fmt: skip
image = value(direct, "id")
wait(lambda: status(image) == "active")
glance("image-download", "--file", FOLDER / "saved", image)
assert (FOLDER / "saved").read_bytes() == DISK.read_bytes()
web = glance(
    "image-create-via-import", "--import-method", "web-download", "--uri", WEB,
    "--disk-format", "qcow2", "--container-format", "bare", "--name", "web",
    "--store", "cold",
)  # fmt: skip
second = value(web, "id")
wait(lambda: status(second) == "active")
assert value(glance("image-show", second), "stores") == "cold"
done("image-create-via-import of both methods")

third = value(glance("image-create", *FORMATS, "--name", "staged"), "id")
glance("image-stage", "--file", DISK, third)
glance("image-import", "--import-method", "glance-direct", third)
wait(lambda: status(third) == "active")
glance("image-import", "--import-method", "copy-image", "--stores", "cold", third)
wait(lambda: value(glance("image-show", third), "stores") == "fast,cold")
glance("stores-delete", "--store", "fast", third)
assert value(glance("image-show", third), "stores") == "cold"
done("image-stage, image-import, stores-delete")

assert "success" in glance("image-tasks", third)
assert "success" in glance("task-list")
assert "image_size_total" in glance("usage")
done("image-tasks, task-list, usage")

glance("cache-queue", third)
wait(lambda: re.search(rf"{third}.*cached", glance("cache-list")))
glance("cache-delete", third)
assert third not in glance("cache-list")
glance("cache-clear")
done("cache-queue, cache-list, cache-delete, cache-clear")

glance("md-namespace-create", "Lab", "--visibility", "public")
glance(
    "md-property-create",
    "Lab",
    "--name",
    "lab_owner",
    "--title",
    "Owner",
    "--schema",
    "{}",
    "--type",
    "string",
)
glance("md-object-create", "Lab", "--name", "rack", "--schema", "{}")
glance("md-tag-create", "Lab", "--name", "old")
glance("md-resource-type-associate", "Lab", "--name", "OS::Glance::Image")
assert "lab_owner" in glance("md-property-list", "Lab")
assert "rack" in glance("md-object-list", "Lab")
assert "old" in glance("md-tag-list", "Lab")
assert "Lab" in glance("md-namespace-list", "--resource-types", "OS::Glance::Image")
glance("md-namespace-delete", "Lab")
done("md-namespace, md-property, md-object, md-tag, md-resource-type")

for one in (image, second, third):
    glance("image-delete", one)
