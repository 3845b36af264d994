"""Racing processes leave no step in the event log that the life cycle does not have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import servers

TRANSITIONS = 500


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_racing_processes_make_no_illegal_step(
    database: str, tmp_path: Path, request: Any
) -> None:
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "imagecatalog.settings",
        "IMAGECATALOG_DATA_DIR": str(tmp_path),
        "DATABASE_URL": "",
    }
    if database == "postgres":
        url = request.getfixturevalue("postgres_url")
        env["DATABASE_URL"] = servers.prepared_database(url)
    else:
        servers.make_database(tmp_path)

    racing = subprocess.run(
        [sys.executable, "-m", "tests.racing", str(TRANSITIONS)],
        env=env,
        capture_output=True,
        text=True,
        timeout=400,
    )

    assert racing.returncode == 0, racing.stdout + racing.stderr
    assert "locked" not in racing.stderr
    assert int(racing.stdout.split()[0]) >= TRANSITIONS
