"""`make run` installs the runtime lock only; tests see more packages and would not notice."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.servers import ROOT

# Makes every package that is not in requirements.txt unimportable, then loads the project.
PROGRAM = r"""
import importlib.metadata, os, pkgutil, re, sys
normal = lambda name: re.sub("[-_.]+", "-", name).lower()
with open("requirements.txt") as lock:
    locked = {normal(re.split(r"[\[=]", line)[0]) for line in lock if "==" in line and line[0].isalnum()}
refused = {
    module
    for module, owners in importlib.metadata.packages_distributions().items()
    if not locked & set(map(normal, owners))
}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r} in requirements.txt", name=name)
sys.meta_path.insert(0, Refuse())
os.environ["DJANGO_SETTINGS_MODULE"] = "imagecatalog.settings"
import django
django.setup()
import imagecatalog, images
# The package that this module needs is in no lock: it has to be compiled.
COMPILED = {"imagecatalog.identity.ldap_directory"}
for package in (imagecatalog, images):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        module.name in COMPILED or __import__(module.name)
assert "pytest" in refused
"""


# Its modules cannot be imported without the apps of the extra.
OPTIONAL = {
    "IMAGECATALOG_OIDC_ISSUER": "https://id.example.org",
    "IMAGECATALOG_OIDC_CLIENT_ID": "imagecatalog",
    "IMAGECATALOG_OIDC_CLIENT_SECRET": "secret",
    "IMAGECATALOG_OIDC_ADMIN_GROUP": "admins",
}


@pytest.mark.slow
def test_the_product_needs_no_package_beyond_the_runtime_lock() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=os.environ | OPTIONAL,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
