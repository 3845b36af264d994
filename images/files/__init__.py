"""Images in from files and web addresses, and out to files. Knows no HTTP and no command line.

Beside each exported file lies a sidecar, ``NAME.json``: what the bytes themselves do not say.
"""

from __future__ import annotations

from images.files.exporting import Folder, exported, written_to
from images.files.importing import ImportOptions, Outcome, Plan, bring_in
from images.files.sources import Skipped, Source, find

__all__ = [
    "Folder",
    "Outcome",
    "Plan",
    "Skipped",
    "Source",
    "ImportOptions",
    "bring_in",
    "exported",
    "find",
    "written_to",
]
