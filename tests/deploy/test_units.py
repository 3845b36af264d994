"""The systemd units, as files."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from tests import servers

FOLDER = servers.ROOT / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))


def lines(unit: Path, pattern: str) -> list[str]:
    return re.findall(rf"^{pattern}$", unit.read_text(), re.MULTILINE)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_exposure_of_a_unit_is_low(unit: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit]
    done = subprocess.run(command, capture_output=True, text=True)

    assert "Overall exposure level" in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_units_have_the_same_sandbox() -> None:
    sandboxes = {
        unit.read_text().partition("# The sandbox.")[2].partition("\n\n")[0].strip()
        for unit in UNITS
    }

    assert len(UNITS) > 1
    assert len(sandboxes) == 1
    assert "SystemCallFilter" in sandboxes.pop()


def test_all_units_run_as_one_user_with_one_environment() -> None:
    own = r"((?:User|Group|StateDirectory\w*|EnvironmentFile|Environment=\w+_DIR)=.*)"
    environments = {tuple(lines(unit, own)) for unit in UNITS}

    assert [len(environment) for environment in environments] == [7]


def test_the_service_has_more_time_to_stop_than_its_requests() -> None:
    (seconds,) = lines(FOLDER / "imagecatalog.service", r"TimeoutStopSec=(\d+)")

    assert int(seconds) > settings.IMAGECATALOG_GRACE_SECONDS + 10


def test_the_service_has_all_the_time_that_its_migrations_take() -> None:
    unit = FOLDER / "imagecatalog.service"

    assert lines(unit, r"Type=(\w+)") == ["notify"]
    assert lines(unit, r"TimeoutStartSec=(\w+)") == ["infinity"]


def test_each_service_that_is_started_by_a_timer_exists() -> None:
    timed = {timer.with_suffix(".service") for timer in FOLDER.glob("*.timer")}

    assert timed
    assert timed <= set(UNITS)
