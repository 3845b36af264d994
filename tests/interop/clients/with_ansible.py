"""The module ``openstack.cloud.image`` of Ansible, with ``use_import``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from signing_in import DISK, WEB, done, run

PLAYBOOK = Path(__file__).with_name("ansible.yaml")
variables = {
    "ansible_python_interpreter": sys.executable,
    "disk": str(DISK),
    "web": WEB,
}
out = run("ansible-playbook", "-i", "localhost,", "-e", json.dumps(variables), PLAYBOOK)
for task in PLAYBOOK.read_text().split("- name: ")[1:]:
    name = task.partition("\n")[0]
    assert f"TASK [{name}]" in out, out
    done(name)
