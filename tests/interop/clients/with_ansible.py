"""The modules ``image``, with ``use_import``, and ``image_info`` of Ansible's ``openstack.cloud``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from families import Family
from signing_in import DISK, WEB, done, run

FOLDER = Path(__file__).parent


def play(playbook: str, **variables: str) -> list[str]:
    """Run a playbook; the names of its tasks, which have succeeded."""
    variables |= {"ansible_python_interpreter": sys.executable}
    path = FOLDER / playbook
    out = run("ansible-playbook", "-i", "localhost,", "-e", json.dumps(variables), path)
    tasks = path.read_text().split("- name: ")[1:]
    names = [task.partition("\n")[0] for task in tasks]
    for name in names:
        assert f"TASK [{name}]" in out, out
    return names


for name in play("ansible.yaml", disk=str(DISK), web=WEB):
    done(name)

family = Family("ansible-family")
first, second = family.images
play("ansible_family.yaml", family=family.name, current=first)
family.promote("2")
play("ansible_family.yaml", family=family.name, current=second)
family.rollback()
play("ansible_family.yaml", family=family.name, current=first)
family.delete()
done("find the one image of a family, before and after a promotion and a rollback")
