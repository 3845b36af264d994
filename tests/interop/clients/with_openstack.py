"""The command ``openstack``: stores, import, tasks and metadata definitions."""

from __future__ import annotations

import json

from signing_in import DISK, FOLDER, done, run, session, wait


def openstack(*words: object) -> str:
    return run("openstack", *map(str, words))


def in_json(*words: object) -> object:
    return json.loads(openstack(*words, "-f", "json"))


formats = ("--disk-format", "raw", "--container-format", "bare")

stores = [store["ID"] for store in in_json("image", "stores", "list")]
assert stores == ["fast", "cold", "http"], stores
details = in_json("image", "stores", "list", "--detail")
assert {store["ID"] for store in details} == set(stores), details
methods = in_json("image", "import", "info")["import-methods"]
assert {"glance-direct", "web-download", "copy-image"} <= set(methods), methods
done("stores list, import info")

image = in_json("image", "create", *formats, "--import", "--file", DISK, "direct")["id"]
wait(lambda: in_json("image", "show", image)["status"] == "active")
openstack("image", "save", "--file", FOLDER / "saved", image)
assert (FOLDER / "saved").read_bytes() == DISK.read_bytes()
done("create --import")

queued = session().post(
    "/v2/images",
    endpoint_filter={"service_type": "image"},
    json={"name": "staged", "disk_format": "raw", "container_format": "bare"},
)
staged = queued.json()["id"]
openstack("image", "stage", "--file", DISK, staged)
openstack("image", "import", staged, "--method", "glance-direct", "--store", "cold")
wait(lambda: in_json("image", "show", staged)["status"] == "active")
openstack("image", "import", staged, "--method", "copy-image", "--store", "fast")
wait(lambda: in_json("image", "show", staged)["properties"]["stores"] == "fast,cold")
done("stage, import of the methods glance-direct and copy-image")

tasks = in_json("image", "task", "list")
assert {task["Status"] for task in tasks} == {"success"}, tasks
newest = in_json("image", "task", "show", tasks[0]["ID"])
assert newest["input"]["image_id"] == staged, newest
done("task list, task show")

openstack("image", "metadef", "namespace", "create", "--public", "Lab")
openstack(
    "image", "metadef", "property", "create", "Lab",
    "--name", "lab_owner", "--title", "Owner", "--type", "string", "--schema", "{}",
)  # fmt: skip
openstack("image", "metadef", "object", "create", "--namespace", "Lab", "rack")
openstack(
    "image",
    "metadef",
    "resource",
    "type",
    "association",
    "create",
    "Lab",
    "OS::Glance::Image",
)
listed = in_json(
    "image", "metadef", "namespace", "list", "--resource-types", "OS::Glance::Image"
)
assert "Lab" in [one["namespace"] for one in listed], listed
properties = in_json("image", "metadef", "property", "list", "Lab")
assert [one["name"] for one in properties] == ["lab_owner"], properties
objects = in_json("image", "metadef", "object", "list", "Lab")
assert [one["name"] for one in objects] == ["rack"], objects
openstack("image", "metadef", "namespace", "delete", "Lab")
done("metadef namespaces, properties, objects, resource types")

openstack("image", "delete", image, staged)
