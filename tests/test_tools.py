"""The tools behind `make` start on their own, not only under pytest, which sets Django up."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.servers import ROOT

TOOLS = sorted(
    set(re.findall(r"\$\(PY\) -m (tests\.\w+)", (ROOT / "Makefile").read_text()))
)
WITHOUT_OPTIONS = {"tests.docs", "tests.with_postgres"}


@pytest.mark.parametrize("tool", [it for it in TOOLS if it not in WITHOUT_OPTIONS])
def test_a_tool_shows_its_options(tool: str) -> None:
    env = {name: text for name, text in os.environ.items() if "DJANGO" not in name}
    done = subprocess.run(
        [sys.executable, "-m", tool, "--help"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
    )

    assert done.stdout.startswith("usage: "), done.stderr
