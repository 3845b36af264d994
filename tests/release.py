"""``python -m tests.release``: the checks of a release, its bill of materials, and the audit.

CONTRIBUTING.md says when each is used.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from tests import environments
from tests.servers import ROOT

DIST = ROOT / "dist"
LOCK = ROOT / "requirements.txt"
FOUND, UNKNOWN = 1, 2  # exit codes


class Failed(Exception):
    """A reason not to release, and what to do."""


def wheel() -> Path:
    """The package that ``make dist`` has made."""
    made = list(DIST.glob("imagecatalog_server-*.whl"))
    if len(made) != 1:
        raise Failed(f"{DIST} has {len(made)} packages. Run `make dist`.")
    return made[0]


def version_of(package: Path) -> str:
    return package.name.split("-")[1]


# The audit


def audit() -> int:
    """Ask for known vulnerabilities of the packages in requirements.txt; the exit code.

    FOUND for vulnerabilities; UNKNOWN if the database of advisories does not answer, because
    then nothing is known.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [environments.programs("release") / "pip-audit", "--disable-pip"]
        command += ["--require-hashes", "-r", LOCK, "-f", "json", "-o", report]
        command += ["--progress-spinner=off"]
        done = subprocess.run(command, capture_output=True, text=True)
        text = report.read_text() if report.exists() else ""
    if not text:
        print(done.stderr[-2000:], file=sys.stderr)
        print("NOT AUDITED: the database of advisories did not answer.")
        return UNKNOWN
    packages = json.loads(text)["dependencies"]
    lines = list(vulnerabilities(packages))
    print("\n".join(lines))
    print(f"{len(packages)} packages audited, {len(lines)} known vulnerabilities.")
    return FOUND if lines else 0


def vulnerabilities(packages: list[dict[str, object]]) -> Iterator[str]:
    """A line for each known vulnerability in a report of pip-audit."""
    for package in packages:
        for one in package.get("vulns", []):  # type: ignore[attr-defined]
            fixed = ", ".join(one["fix_versions"]) or "no release yet"
            name = f"{package['name']} {package['version']}"
            yield f"{name}: {one['id']}, fixed in {fixed}"


# The bill of materials


def sbom() -> int:
    """Write the CycloneDX document of the package, with everything that it needs, into dist/.

    It describes an environment with nothing but the package and what requirements.txt names.
    """
    package = wheel()
    document = DIST / f"{package.stem}.cdx.json"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", folder], check=True
        )
        pip = [sys.executable, "-m", "pip", "--python", f"{folder}/bin/python"]
        pip += ["-qq", "--no-input", "--disable-pip-version-check", "install"]
        pip += ["--no-compile"]
        subprocess.run([*pip, "--require-hashes", "-r", LOCK], check=True)
        subprocess.run([*pip, "--no-deps", package], check=True)
        program = environments.programs("release") / "cyclonedx-py"
        command = [program, "environment", "--output-reproducible"]
        command += ["--pyproject", ROOT / "pyproject.toml", "-o", document]
        subprocess.run([*command, f"{folder}/bin/python"], check=True)
    set_version(document, version_of(package))
    print(document.relative_to(ROOT))
    return 0


def set_version(document: Path, version: str) -> None:
    """Name the version of the package, which pyproject.toml leaves to tags."""
    bill = json.loads(document.read_text())
    bill["metadata"]["component"]["version"] = version
    document.write_text(json.dumps(bill, indent=2) + "\n")


# The release


def check() -> int:
    """Compare tag, changelog and package with each other; the exit code."""
    try:
        version = tagged_version(ROOT)
        check_changelog(ROOT, version)
        if version_of(wheel()) != version:
            raise Failed(f"{wheel().name} is not of {version}. Run `make dist`.")
    except Failed as reason:
        print(f"No release: {reason}")
        return 1
    print(f"{version}: tag, changelog and package agree.")
    return 0


def tagged_version(checkout: Path) -> str:
    """The version whose tag the commit in a checkout has. Raises Failed without one."""
    if _git(checkout, "status", "--porcelain"):
        raise Failed("there are changes that are not committed. Commit or remove them.")
    tags = _git(checkout, "tag", "--points-at", "HEAD", "v*").split()
    if len(tags) != 1:
        raise Failed(f"the commit has {len(tags)} tags like v1.2.3. Give it one.")
    return tags[0].removeprefix("v")


def check_changelog(checkout: Path, version: str) -> None:
    """Raise Failed unless the changelog has a section for the version, from all fragments."""
    page = (checkout / "CHANGELOG.md").read_text()
    if not re.search(rf"^## {re.escape(version)} \(\d{{4}}-", page, re.MULTILINE):
        raise Failed(
            f"CHANGELOG.md has no section for {version}. Run `make changelog`."
        )
    if left := [path.name for path in (checkout / "changelog.d").glob("*.md")]:
        raise Failed(f"changelog.d has {len(left)} fragments. Run `make changelog`.")


def _git(checkout: Path, *command: str) -> str:
    done = subprocess.run(
        ["git", *command], cwd=checkout, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def main() -> int:
    parser = ArgumentParser(prog="python -m tests.release", description=__doc__)
    parser.add_argument("step", choices=["audit", "sbom", "check"])
    steps = {"audit": audit, "sbom": sbom, "check": check}
    return steps[parser.parse_args().step]()


if __name__ == "__main__":
    sys.exit(main())
