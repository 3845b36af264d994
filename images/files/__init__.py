"""Import of images from files and URLs, and export of images to files.

Each exported file has a sidecar, ``NAME.json``, with the image's attributes and digests. This
package depends neither on HTTP nor on commands.
"""

from __future__ import annotations

from images.files.exporting import Folder, export_to, exportable_image
from images.files.folders import Skipped, find
from images.files.importing import ImportOptions, Outcome, Plan, import_source
from images.files.sources import Source

__all__ = [
    "Folder",
    "ImportOptions",
    "Outcome",
    "Plan",
    "Skipped",
    "Source",
    "export_to",
    "exportable_image",
    "find",
    "import_source",
]
