"""The parts of the documentation that are made from the code.

``make docs`` writes them between two comments of a page, such as ``<!-- begin: metrics … -->``.
"""

from __future__ import annotations

import re

from tests.docs import alerts, commands, metrics, variables
from tests.servers import ROOT

PAGES = sorted(ROOT.glob("docs/*.md"))
PARTS = {
    "alerts": alerts.table,
    "commands": commands.reference,
    "metrics": metrics.table,
    "variables": variables.table,
}
GENERATED = re.compile(r"(<!-- begin: (\w+) .*?-->\n).*?(<!-- end: \2 -->)", re.DOTALL)


def written(text: str) -> str:
    """The text of a page with its generated parts as they are today."""
    return GENERATED.sub(
        lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", text
    )
