"""The GlanceImages scenarios of Rally that need no other service."""

from __future__ import annotations

import json
import os
import re

from signing_in import DISK, FOLDER, WEB, done, run

ADMIN = {
    "username": os.environ["OS_USERNAME"],
    "password": os.environ["OS_PASSWORD"],
    "project_name": os.environ["OS_PROJECT_NAME"],
    "user_domain_name": "Default",
    "project_domain_name": "Default",
}
PLATFORM = {
    "openstack": {
        "auth_url": os.environ["OS_AUTH_URL"],
        "region_name": os.environ["OS_REGION_NAME"],
        "admin": ADMIN,
        "users": [ADMIN],
    }
}
FILE = {"image_location": str(DISK), "container_format": "bare", "disk_format": "raw"}
IMPORTED = FILE | {"all_stores": False}
URL = IMPORTED | {
    "image_location": WEB,
    "disk_format": "qcow2",
    "import_method": "web-download",
}
SCENARIOS: list[tuple[str, dict[str, object]]] = [
    ("list_images", {}),
    ("create_and_list_image", FILE),
    ("create_and_get_image", FILE),
    ("create_and_delete_image", FILE),
    ("create_and_download_image", FILE),
    ("create_and_update_image", FILE),
    ("create_and_deactivate_image", FILE),
    ("import_and_delete_image", IMPORTED),
    ("import_and_delete_image", URL),
]
runner = {"constant": {"times": 4, "concurrency": 2}}
subtasks = [
    {
        "title": name,
        "scenario": {f"GlanceImages.{name}": arguments},
        "runner": runner,
        "sla": {"failure_rate": {"max": 0}},
    }
    for name, arguments in SCENARIOS
]
files = {
    "platform.json": PLATFORM,
    "task.json": {"version": 2, "title": "images", "subtasks": subtasks},
}
for name, content in files.items():
    (FOLDER / name).write_text(json.dumps(content))
database = f"[database]\nconnection = sqlite:///{FOLDER}/rally.db\n"
(FOLDER / "rally.conf").write_text(database)

rally = ("rally", "--config-file", "rally.conf")
run(*rally, "db", "create")
run(*rally, "env", "create", "--name", "ours", "--spec", "platform.json")
run(*rally, "env", "check")
out = run(*rally, "task", "start", "task.json")
assert len(re.findall(r"has 0 error\(s\)", out)) == len(SCENARIOS), out
run(*rally, "task", "sla-check")
for name, arguments in SCENARIOS:
    done(f"{name} {arguments.get('import_method', '')}".strip())
