"""What a command loads before it begins: not the web interface, and no library for nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.servers import ROOT, make_database

COMMAND = """
import sys
from imagecatalog.__main__ import main
sys.argv = ["manage.py", "image_status"]
main()
print(*sys.modules, file=sys.stderr)
"""
SLOW = {
    "imagecatalog.urls",
    "oslo_utils.imageutils",
    "psycopg",
    "rest_framework.views",
}


@pytest.mark.slow
@pytest.mark.sqlite
def test_a_command_loads_no_library_that_it_does_not_need(tmp_path: Path) -> None:
    make_database(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", COMMAND],
        cwd=ROOT,
        env=os.environ | {"IMAGECATALOG_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert set(done.stderr.split()) & SLOW == set()


@pytest.mark.django_db
def test_only_check_examines_the_code(settings: Any) -> None:
    settings.ROOT_URLCONF = "no_such_module"

    call_command("image_status", skip_checks=False)

    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        call_command("check")
