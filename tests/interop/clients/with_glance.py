"""The command ``glance``: stores, import, tasks, usage, cache and metadata definitions."""

from __future__ import annotations

import json
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
uri = {"import_from": WEB, "import_from_format": "qcow2"}
described = {"name": "task", "disk_format": "qcow2", "container_format": "bare"}
given = json.dumps(uri | {"image_properties": described})
task = value(glance("task-create", "--type", "import", "--input", given), "id")
wait(lambda: value(glance("task-show", task), "status") == "success")
named = re.search(r"[0-9a-f-]{36}", value(glance("task-show", task), "result"))
assert named
fourth = named[0]
assert "image_size_total" in glance("usage")
done("image-tasks, task-list, task-create, task-show, usage")

# In the store fast, whose images are cached.
glance("cache-queue", image)
wait(lambda: re.search(rf"{image}.*cached", glance("cache-list")))
glance("cache-delete", image)
assert image not in glance("cache-list")
glance("cache-queue", image)
wait(lambda: re.search(rf"{image}.*cached", glance("cache-list")))
glance("cache-clean")
assert "Pruned 0 file(s)" in glance("cache-prune")
assert image in glance("cache-list")
glance("cache-clear")
assert image not in glance("cache-list")
done("cache-queue, cache-list, cache-delete, cache-clean, cache-prune, cache-clear")

LAB, IMAGE = "Interop::Lab", "OS::Glance::Image"
OWNER = ("--name", "lab_owner", "--title", "Owner", "--type", "string")
RACK = {"properties": {"unit": {"title": "Unit", "type": "integer"}}}

glance("md-namespace-create", LAB, "--visibility", "public")
glance("md-namespace-update", LAB, "--description", "Machines in racks")
assert "Machines in racks" in glance("md-namespace-show", LAB)
glance("md-resource-type-associate", LAB, "--name", IMAGE)
assert IMAGE in glance("md-resource-type-list")
assert IMAGE in glance("md-namespace-resource-type-list", LAB)
assert LAB in glance("md-namespace-list", "--resource-types", IMAGE)
done("md-namespace-…, md-resource-type-…")

glance("md-property-create", LAB, *OWNER, "--schema", "{}")
glance("md-property-update", LAB, "lab_owner", "--title", "Keeper")
assert "Keeper" in glance("md-property-show", LAB, "lab_owner")
assert "lab_owner" in glance("md-property-list", LAB)
done("md-property-create, -update, -show, -list")

glance("md-object-create", LAB, "--name", "rack", "--schema", json.dumps(RACK))
glance("md-object-update", LAB, "rack", "--name", "shelf")
assert "unit" in glance("md-object-show", LAB, "shelf")
assert "integer" in glance("md-object-property-show", LAB, "shelf", "unit")
assert "shelf" in glance("md-object-list", LAB)
done("md-object-create, -update, -show, -property-show, -list")

# Not with --append: the command fails before it sends anything.
glance("md-tag-create-multiple", LAB, "--names", "spare,slow")
glance("md-tag-create", LAB, "--name", "old")
glance("md-tag-update", LAB, "old", "--name", "older")
assert "older" in glance("md-tag-show", LAB, "older")
tags = glance("md-tag-list", LAB)
assert all(tag in tags for tag in ("older", "spare", "slow")), tags
done("md-tag-create, -create-multiple, -update, -show, -list")

glance("md-tag-delete", LAB, "slow")
glance("md-namespace-tags-delete", LAB)
assert "older" not in glance("md-tag-list", LAB)
glance("md-object-delete", LAB, "shelf")
glance("md-namespace-objects-delete", LAB)
assert "shelf" not in glance("md-object-list", LAB)
glance("md-property-delete", LAB, "lab_owner")
glance("md-namespace-properties-delete", LAB)
assert "lab_owner" not in glance("md-property-list", LAB)
glance("md-resource-type-deassociate", LAB, IMAGE)
assert IMAGE not in glance("md-namespace-resource-type-list", LAB)
glance("md-namespace-delete", LAB)
assert LAB not in glance("md-namespace-list")
done("md-…-delete, md-resource-type-deassociate")

(FOLDER / "lab.json").write_text(json.dumps({"namespace": LAB, "objects": []}))
glance("md-namespace-import", "--file", FOLDER / "lab.json")
assert LAB in glance("md-namespace-list")
glance("md-namespace-delete", LAB)
done("md-namespace-import")

for one in (image, second, third, fourth):
    glance("image-delete", one)
