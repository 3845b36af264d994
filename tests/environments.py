"""Virtual environments for programs that shall not meet our own packages, below var/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.servers import ROOT, Missing

HOME = ROOT / "var" / "environments"
INSTALLED = "installed"  # the file that lists the packages of a folder
PIP_INSTALL = ["-m", "pip", "install", "-qq", "--no-input"]
PIP_INSTALL += ["--disable-pip-version-check", "--root-user-action", "ignore"]
# Exact: another version of a suite is another suite.
CONFORMANCE = {
    "keystone": ["keystone==30.0.0", "gunicorn==27.0.1", "psycopg2-binary==2.9.13"],
    "tempest": ["tempest==47.0.0", "glance-tempest-plugin==0.17.0"],
}
# The clients of other projects. Ansible's collection needs a module of openstacksdk that is gone.
INTEROP = {
    "ansible": ["ansible==12.3.0", "openstacksdk==4.10.0"],
    "image_manager": ["openstack-image-manager==0.20261006.0"],
    "rally": ["rally==5.1.1", "rally-openstack==4.1.0"],
    "nova": ["nova==34.0.0"],
    "cinder": ["cinder==29.0.0"],
    "ironic": ["ironic==39.0.0"],
    "heat": ["openstack-heat==27.0.1"],
}
# Driven by the tests, which run in the environment of the suite.
DASHBOARD = {"horizon": ["horizon==27.0.0", "gunicorn==27.0.1"]}
# For the tests of the published tree: signed indexes of simplestreams.
PUBLISHED = {"simplestreams": ["python-simplestreams==0.1.0.post59"]}
RELEASE = {"release": ["cyclonedx-bom==7.5.0", "pip-audit==2.10.1"]}
# Validators of compose files and of manifests
DEPLOY = {
    "deploy": ["compose-spec==0.2.1", "pydantic>=2", "kubernetes-validate==1.37.0"]
}
# Without what they need besides: the service has Django already.
LDAP = [
    "django-auth-ldap==5.4.0",
    "python-ldap==3.4.8",
    "pyasn1==0.6.1",
    "pyasn1-modules==0.4.2",
]
PACKAGES = CONFORMANCE | INTEROP | DASHBOARD | PUBLISHED | RELEASE | DEPLOY


def programs(name: str) -> Path:
    """The folder with the programs of an environment, which is made when it is not there."""
    folder = HOME / name
    if lacks(folder, PACKAGES[name]):
        print(f"Installing {', '.join(PACKAGES[name])} into {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [folder / "bin/python", *PIP_INSTALL, *PACKAGES[name]]
        subprocess.run(install, check=True)
        note(folder, PACKAGES[name])
    return folder / "bin"


def ldap_packages() -> Path:
    """The folder for PYTHONPATH with the packages of the extra `ldap`, made when it is not there.

    They need a compiler and the headers of OpenLDAP. Raises Missing without them.
    """
    if not Path("/usr/include/ldap.h").exists():
        raise Missing("the headers of OpenLDAP are not installed (libldap-dev)")
    folder = HOME / "ldap"
    if lacks(folder, LDAP):
        install = [sys.executable, *PIP_INSTALL, "--no-deps", "--upgrade"]
        subprocess.run([*install, "--target", folder, *LDAP], check=True)
        note(folder, LDAP)
    return folder


def node_package(package: str) -> Path:
    """The folder with an npm package and what it needs, made when it is not there.

    Raises Missing where npm is not installed.
    """
    folder = HOME / package.replace("@", "-")
    if lacks(folder, [package]):
        npm = shutil.which("npm")
        if npm is None:
            raise Missing("npm is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}')
        install = [npm, "install", "--silent", "--no-audit", "--no-fund", package]
        subprocess.run(install, cwd=folder, check=True)
        note(folder, [package])
    return folder


def lacks(folder: Path, packages: Sequence[str]) -> bool:
    """Whether a folder has not exactly these packages, as ``note`` has noted."""
    noted = folder / INSTALLED
    return not noted.exists() or noted.read_text() != "\n".join(packages)


def note(folder: Path, packages: Sequence[str]) -> None:
    """Note that a folder has these packages, all of which are installed."""
    (folder / INSTALLED).write_text("\n".join(packages))


def environ(**more: str) -> dict[str, str]:
    """The caller's environment without what would lead these programs astray."""
    foreign = ("OS_", "IMAGECATALOG_", "DJANGO_", "PYTHON", "VIRTUAL_ENV", "DATABASE_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    return kept | more
