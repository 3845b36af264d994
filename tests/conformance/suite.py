"""Tempest with the plugin of the image service: its configuration, its run, its verdicts."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests import environments
from tests.keystone import REGION, Keystone

MANIFEST = "manifest.yaml"  # in the folder with images
VERDICT = re.compile(
    r"^\{\d+\} (?P<name>\S.*?)(?: \[[\d.]+s\])? \.\.\. (?P<verdict>.*)$"
)
CONFIGURATION = """
[DEFAULT]
log_file = {folder}/tempest.log
[oslo_concurrency]
lock_path = {folder}/locks
[auth]
use_dynamic_credentials = true
admin_username = admin
admin_password = {password}
admin_project_name = admin
admin_domain_name = Default
create_isolated_networks = false
[identity]
auth_version = v3
uri_v3 = {keystone}
region = {region}
[identity-feature-enabled]
api_v2 = false
[service_available]
glance = true
cinder = false
horizon = false
neutron = false
# Without it, tests of formats are skipped that use the image API only.
nova = true
swift = false
[image]
region = {region}
catalog_type = image
disk_formats = ami,ari,aki,vhd,vmdk,raw,qcow2,vdi,iso,vhdx,ploop
container_formats = ami,ari,aki,bare,ovf
image_caching_enabled = true
build_timeout = 120
http_image = {files}/tiny.img
http_qcow2_image = {files}/tiny.qcow2
images_manifest_file = {manifest}
alternate_image_endpoint = {second}
[image-feature-enabled]
import_image = true
manage_locations = true
http_store_enabled = true
store_weight_enabled = true
os_glance_reserved = true
image_conversion = true
image_format_enforcement = {strict}
[volume-feature-enabled]
enable_volume_image_dep_tests = false
[enforce_scope]
glance = true
"""


@dataclass(frozen=True)
class Choice:
    """What is run: the tests that match ``regex`` and not ``excluded``.

    ``files`` is the URL of a folder with images, ``second`` the type of a second endpoint.
    ``strict``: the service refuses data that is not of the format that is declared.
    """

    regex: str
    excluded: str
    files: str
    strict: bool
    second: str


@dataclass
class Verdicts:
    """The names of the tests, by what became of them."""

    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def of(self, verdict: str) -> list[str]:
        return sorted(self.names[verdict])


def run(
    folder: Path,
    keystone: Keystone,
    choice: Choice,
    concurrency: int,
    say: Callable[[str], None],
) -> Verdicts:
    """Run the chosen tests."""
    programs = environments.programs("tempest")
    (folder / "locks").mkdir(parents=True)
    (folder / "tempest.conf").write_text(
        CONFIGURATION.format(
            folder=folder,
            keystone=keystone.url,
            password=keystone.admin_password,
            region=REGION,
            files=choice.files,
            manifest=folder.parent / "files" / MANIFEST,
            second=choice.second,
            strict=choice.strict,
        )
    )
    packages = next(programs.parent.glob("lib/python*/site-packages"))
    (folder / ".stestr.conf").write_text(
        f"[DEFAULT]\ntest_path={packages}/tempest/test_discover\n"
        f"top_dir={packages}\ngroup_regex=([^\\.]*\\.)*\n"
    )
    return _run(programs, folder, choice, concurrency, say)


def _run(
    programs: Path,
    folder: Path,
    choice: Choice,
    concurrency: int,
    say: Callable[[str], None],
) -> Verdicts:
    env = environments.environ(TEMPEST_CONFIG_DIR=str(folder))
    env["PATH"] = f"{programs}:{env['PATH']}"
    stestr = [programs / "stestr"]
    subprocess.run([*stestr, "init"], cwd=folder, env=env, check=True)
    verdicts = Verdicts()
    process = subprocess.Popen(
        [
            *stestr,
            "run",
            f"--concurrency={concurrency}",
            *([f"--exclude-regex={choice.excluded}"] if choice.excluded else []),
            choice.regex,
        ],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with (folder / "output.txt").open("w", buffering=1) as output:
        for line in process.stdout:
            output.write(line)
            if found := VERDICT.match(line):
                _note(verdicts, found["name"], found["verdict"])
                say(line.rstrip())
    process.wait()
    return verdicts


def _note(verdicts: Verdicts, name: str, verdict: str) -> None:
    kinds = {"ok": "passed", "FAILED": "failed", "SKIPPED": "skipped"}
    kind = next((kinds[word] for word in kinds if verdict.startswith(word)), "failed")
    reason = verdict.partition(":")[2].strip()
    verdicts.names[kind].append(f"{name} ({reason})" if reason else name)
