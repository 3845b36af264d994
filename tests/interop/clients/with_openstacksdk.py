"""openstacksdk: what programs that are made with it call to stage and import."""

from __future__ import annotations

import openstack
from signing_in import DISK, REGION, WEB, done, session, wait

FORMATS = {"disk_format": "raw", "container_format": "bare"}
DATA = DISK.read_bytes()

images = openstack.connection.Connection(session=session(), region_name=REGION).image


def is_active(image: object) -> bool:
    return images.get_image(image.id).status == "active"


def stores(image: object) -> str:
    return images.get_image(image.id).properties["stores"]


info = images.get_import_info()
assert "copy-image" in info.import_methods["value"], info
assert [store.id for store in images.stores()] == ["fast", "cold", "http"]
assert {store.id for store in images.stores(details=True)} >= {"fast", "cold"}
done("get_import_info, stores")

staged = images.create_image("staged", **FORMATS, allow_duplicates=True)
images.stage_image(staged, data=DATA)
images.import_image(staged, method="glance-direct")
wait(lambda: is_active(staged))
assert images.download_image(staged).content == DATA
done("stage_image, import_image")

web = images.create_image("web", disk_format="qcow2", container_format="bare")
images.import_image(web, method="web-download", uri=WEB, stores=["cold"])
wait(lambda: is_active(web))
assert stores(web) == "cold"
images.import_image(web, method="copy-image", stores=["fast"])
wait(lambda: stores(web) == "fast,cold")
done("import_image of a URL into a store, and of an image into a further store")

at_once = images.create_image("at-once", filename=str(DISK), use_import=True, **FORMATS)
wait(lambda: is_active(at_once))
done("create_image with use_import")

inputs = [images.get_task(task.id).input for task in images.tasks()]
tasks = {task.get("image_id") for task in inputs}  # tasks that make images have none
assert {staged.id, web.id, at_once.id} <= tasks, tasks
done("tasks, get_task")

for one in (staged, web, at_once):
    images.delete_image(one.id)
