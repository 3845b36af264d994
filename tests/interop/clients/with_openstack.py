"""The command ``openstack``: stores, import, tasks, metadata definitions and retention."""

from __future__ import annotations

import json

from families import Family
from signing_in import (
    DISK,
    FOLDER,
    WEB,
    carried_out,
    catalogue,
    done,
    preview,
    run,
    session,
    wait,
)


def openstack(*words: object) -> str:
    return run("openstack", *map(str, words))


def in_json(*words: object) -> object:
    return json.loads(openstack(*words, "-f", "json"))


def reserve(name: str, disk_format: str) -> str:
    """The id of a new image without data, which the command cannot make."""
    queued = session().post(
        "/v2/images",
        endpoint_filter={"service_type": "image"},
        json={"name": name, "disk_format": disk_format, "container_format": "bare"},
    )
    found: str = queued.json()["id"]
    return found


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

staged = reserve("staged", "raw")
openstack("image", "stage", "--file", DISK, staged)
openstack("image", "import", staged, "--method", "glance-direct", "--store", "cold")
wait(lambda: in_json("image", "show", staged)["status"] == "active")
openstack("image", "import", staged, "--method", "copy-image", "--store", "fast")
wait(lambda: in_json("image", "show", staged)["properties"]["stores"] == "fast,cold")
web = reserve("web", "qcow2")
openstack("image", "import", web, "--method", "web-download", "--uri", WEB)
wait(lambda: in_json("image", "show", web)["status"] == "active")
done("stage, import of the methods glance-direct, copy-image and web-download")

tasks = in_json("image", "task", "list")
assert {task["Status"] for task in tasks} == {"success"}, tasks
newest = in_json("image", "task", "show", tasks[0]["ID"])
assert newest["input"]["image_id"] == web, newest
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

openstack("image", "delete", image, staged, web)

family = Family("debian-13")
first, second = family.images


def current() -> object:
    """The id of the one image that is found by the family's name."""
    shown = in_json("image", "show", "debian-13")["id"]
    (listed,) = in_json("image", "list", "--name", "debian-13")
    assert listed["ID"] == shown, listed
    return shown


assert current() == first
family.promote("2")
assert current() == second
family.rollback()
assert current() == first
hidden = in_json("image", "list", "--property", "image_family=debian-13", "--hidden")
assert [image["ID"] for image in hidden] == [second], hidden
family.delete()
done("show the one image of a family, before and after a promotion and a rollback")

generations = [
    in_json("image", "create", *formats, "--file", DISK, "--tag", "aged", "lab")["id"]
    for _ in range(3)
]


def seen() -> tuple[object, ...]:
    """What the command shows of the images; a change and its undo leave another updated_at."""
    lists = [
        in_json("image", "list", "--tag", "aged", *it) for it in ([], ["--hidden"])
    ]
    images = [in_json("image", "show", it) for it in generations]
    return (*lists, [{k: one[k] for k in one if k != "updated_at"} for one in images])


before = seen()
catalogue(
    "POST",
    "retention",
    {
        "name": "aged",
        "scope": {"everything": True},
        "select": {"tags": ["aged"]},
        "keep": {"last": 1},
        "actions": [{"hide": "0d"}, {"delete": "0d"}],
        "max_share": 100,
    },
)
runs = []
for left in (["lab"] * 2, []):  # hidden, then deleted
    token = {"preview": preview("aged")["preview"]}
    job = catalogue("POST", "retention/aged/run", token)
    wait(lambda: carried_out(job))  # noqa: B023
    hidden = in_json("image", "list", "--tag", "aged", "--hidden")
    assert [one["Name"] for one in hidden] == left, hidden
    listed = in_json("image", "list", "--tag", "aged")
    assert [one["ID"] for one in listed] == generations[2:], listed
    runs.append(job["arguments"]["run"])
for number in reversed(runs):
    job = catalogue("POST", f"retention/aged/runs/{number}/undo")
    wait(lambda: carried_out(job))  # noqa: B023
assert seen() == before, (before, seen())
done("list --hidden and show: the same before a retention run and after its undo")

openstack("image", "delete", *generations)
