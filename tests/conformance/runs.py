"""The runs of the suite: which tests, on a service with which settings, and why.

What each run must fail, and what it must skip, is listed in files of its name beside this
module, with the reasons: a run succeeds when exactly that happens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.suite import Verdicts

HERE = Path(__file__).parent
EVERYTHING = (
    r"^(tempest\.api\.image|tempest\.scenario\.test_unified_limits"
    r"|glance_tempest_plugin)"
)
# These add locations without data that anybody has read, with wrong digests, or upload data of
# another format than they declare.
CREDULOUS = r"\.(ListUserImagesTest|ImageLocationsTest|ImageLocationsAdminTest)\b"


@dataclass(frozen=True)
class Run:
    """A run of the suite.

    ``settings`` are those of our service. In them, ``{folder}`` is a folder of the run,
    ``{own}`` one of each service and ``{port}`` its port, and ``{files}`` the port of a web
    server with images.
    """

    name: str
    tests: str  # a regular expression, like ``excluded``
    settings: Mapping[str, str] = field(default_factory=dict)
    excluded: str = ""
    strict: bool = True  # the service refuses data of another format than declared
    limited: bool = False  # by the unified limits of Keystone
    two_services: bool = False

    def listed(self, kind: str) -> set[str]:
        """The names of the tests that are listed as ``failed`` or as ``skipped``."""
        path = HERE / f"{self.name}.{kind}"
        lines = path.read_text().splitlines() if path.exists() else []
        words = (line.partition("#")[0].strip() for line in lines)
        return set(filter(None, words))

    def surprises(self, verdicts: Verdicts, complete: bool) -> list[str]:
        """What differs from the lists. ``complete``: all listed tests have been run."""
        found = []
        for kind in ("failed", "skipped"):
            names = {_name(line) for line in verdicts.of(kind)}
            listed = self.listed(kind)
            found += [f"{kind}, not listed: {name}" for name in sorted(names - listed)]
            missing = listed - names if complete else set()
            found += [f"listed, not {kind}: {name}" for name in sorted(missing)]
        return found


def _name(line: str) -> str:
    """The name of a test without parameters, its attributes and the reason behind it."""
    skipped_class = re.match(r"setUpClass \((?P<name>[\w.]+)\)", line)
    return skipped_class["name"] if skipped_class else re.split(r"[\[( ]", line)[0]


_WEB = {
    # Images for locations and web downloads are on this machine, at a free port; and the service
    # downloads from itself, too.
    "IMAGECATALOG_URL_ALLOWED_HOSTS": "127.0.0.1",
    "IMAGECATALOG_URL_ALLOWED_PORTS": "{files},{port}",
    "IMAGECATALOG_ACCESS_LOG": "on",
}
# The suite compares the stores of an image, heaviest first, with their names in alphabetical
# order. Data in folders is cached only where that is asked for.
_STORES = {
    "IMAGECATALOG_STORES": "file1=file://{folder}/file1?weight=200&cache=on,"
    "file2=file://{folder}/file2?weight=100&cache=on",
}
# The suite reads in a reader's `locations` where a store keeps the data.
_LOCATIONS = {"IMAGECATALOG_SHOW_LOCATIONS": "all"}
# What the suite expects since version 2.4 of the API.
_LAST_LOCATION = {"IMAGECATALOG_LAST_LOCATION": "forbid"}

COMPLETE = Run(
    "complete",
    EVERYTHING,
    _WEB
    | _STORES
    | _LOCATIONS
    | {
        "IMAGECATALOG_CACHE_DIR": "{own}/cache",
        "IMAGECATALOG_IMPORT_PLUGINS": "image_conversion",
        # Limits that the suite sets shall hold soon, and it expects one upload beyond them.
        "IMAGECATALOG_UNIFIED_LIMITS": "on",
        "IMAGECATALOG_UNIFIED_LIMITS_SECONDS": "1",
        "IMAGECATALOG_SIZE_LIMITS": "soft",
    },
    excluded=CREDULOUS,
    limited=True,
    two_services=True,
)
TRUSTING = Run(
    "trusting",
    CREDULOUS,
    _WEB
    | _STORES
    | _LOCATIONS
    | _LAST_LOCATION
    | {
        "IMAGECATALOG_LOCATION_DATA": "trust",
        "IMAGECATALOG_REQUIRE_FORMAT_MATCH": "off",
    },
    strict=False,
)
# With Keystone, and without any other setting that changes what clients see.
DEFAULTS = Run("defaults", EVERYTHING, {"IMAGECATALOG_ACCESS_LOG": "on"})
RUNS = (COMPLETE, TRUSTING, DEFAULTS)
