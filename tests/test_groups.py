"""Tests that share a server run in one process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

SUITE = """
import os
from pathlib import Path

import pytest

@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    "group",
    [pytest.param(it, marks=pytest.mark.xdist_group(it)) for it in ("small", "large")],
)
def test_says_where_it_runs(group: str, number: int) -> None:
    Path(f"{group}-{number}").write_text(os.environ["PYTEST_XDIST_WORKER"])
"""


@pytest.mark.slow
def test_each_group_runs_in_one_process_and_two_groups_in_two(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "test_six.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-p", "xdist"]
    command += ["--numprocesses=2", "--dist=loadgroup"]
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # loading all takes long

    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True
    )

    assert "6 passed" in done.stdout, done.stdout + done.stderr
    processes = defaultdict(set)
    for path in tmp_path.glob("*-?"):
        processes[path.name[:-2]].add(path.read_text())
    assert sorted(map(sorted, processes.values())) == [["gw0"], ["gw1"]]


def test_slow_tests_come_first(request: pytest.FixtureRequest) -> None:
    quick = [item.get_closest_marker("slow") is None for item in request.session.items]

    assert quick == sorted(quick)
