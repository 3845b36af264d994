"""Commands and configurations that use a published version, as texts to copy."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from shlex import quote
from typing import Final

from django.utils.translation import gettext as _

from images.publishing import operating_system, paths, virt_builder
from images.publishing.snapshot import (
    PublishedFamily,
    PublishedVersion,
    current_file_name,
    file_name,
)
from images.text import printable

USER: Final = "USER"  # placeholders
PASSWORD: Final = "PASSWORD"
OVA: Final = "ova"  # a container format, and an extension
# Properties of the image that a copy in another cloud needs as well.
OF_THE_MACHINE: Final = ("hw_", "os_")

_OSINFO = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_NO_IDENTIFIER = re.compile(r"[^a-z0-9_]")


@dataclass(frozen=True, slots=True)
class Site:
    """A published tree as its clients see it: URL, signing key, and whether they must sign in."""

    url: str  # of the top folder, without a slash at the end
    is_signed: bool = False  # there are key.asc and signatures
    needs_sign_in: bool = False
    key: str = ""  # fingerprint of the key that signs; "" if it is not known

    def url_with_password(self) -> str:
        """Return the tree's URL, with placeholders for user and password if clients must sign in."""
        scheme, _separator, rest = self.url.partition("://")
        sign_in = f"{USER}:{PASSWORD}@" if self.needs_sign_in else ""
        return f"{scheme}://{sign_in}{rest}"


@dataclass(frozen=True, slots=True)
class Block:
    """A text to copy, and a sentence that says what it does."""

    says: str
    text: str


@dataclass(frozen=True, slots=True)
class Guide:
    """The commands with which one program uses a version. ``name`` is the anchor on the page."""

    name: str
    title: str
    blocks: tuple[Block, ...]


def guides(
    site: Site, family: PublishedFamily, version: PublishedVersion
) -> list[Guide]:
    """Return a guide to a version for each program that can use it."""
    found = [
        Guide("download", "curl", tuple(_download(site, family, version))),
        Guide("openstack", "OpenStack", tuple(_openstack(family, version))),
        Guide("terraform", "Terraform", tuple(_terraform(site, family, version))),
    ]
    # Both clients refuse URLs without TLS, and images without this digest.
    if version.combined_sha256 and site.url.startswith("https://"):
        blocks = tuple(_incus(site, family, version))
        found.append(Guide("incus", _("Incus and LXD"), blocks))
    if version.extension == OVA:  # libvirt cannot boot an archive
        return found
    found.append(Guide("libvirt", "libvirt", (_virt_install(family, version),)))
    if virt_builder.fragment(family):
        block = _virt_builder(site, family)
        found.append(Guide("virt-builder", "virt-builder", (block,)))
    return found


def _curl(site: Site) -> str:
    return f"curl -u {USER} -fL" if site.needs_sign_in else "curl -fL"


def _download(
    site: Site, family: PublishedFamily, version: PublishedVersion
) -> list[Block]:
    curl, folder = _curl(site), f"{site.url}/{paths.folder(family, version)}"
    name = file_name(family.name, version)
    blocks = [
        Block(
            _("Download version %(label)s, and compare it with its digest:")
            % {"label": version.label},
            f"{curl}O {folder}/{name}\n{curl}O {folder}/SHA256SUMS\n"
            "sha256sum --check --ignore-missing SHA256SUMS",
        )
    ]
    if site.is_signed:
        verify = (
            f"{curl}O {folder}/SHA256SUMS.gpg\n"
            f"{curl}O {site.url}/key.gpg\n"
            "gpgv --keyring ./key.gpg SHA256SUMS.gpg SHA256SUMS"
        )
        blocks.append(Block(_("Verify who made the digests:"), verify))
    current = f"{site.url}/{paths.current_folder(family)}"
    blocks.append(
        Block(
            _("Download whichever version is current:"),
            f"{curl}O {current}/{current_file_name(family.name, version)}",
        )
    )
    return blocks


def _openstack(family: PublishedFamily, version: PublishedVersion) -> list[Block]:
    image = quote(printable(family.image_name))
    values = [
        f"    --property {quote(printable(f'{name}={value}'))} \\\n"
        for name, value in sorted(version.properties.items())
        if name.startswith(OF_THE_MACHINE)
    ]
    create = (
        f"openstack image create --disk-format {version.disk_format} "
        f"--container-format {_container(version)} \\\n{''.join(values)}"
        f"    --file {file_name(family.name, version)} {image}"
    )
    return [
        Block(
            _("In a cloud that uses this catalogue, boot the current version by name:"),
            f"openstack server create --image {image} \\\n"
            "    --flavor m1.small --network private --wait server",
        ),
        Block(_("In another cloud, create an image from the downloaded file:"), create),
    ]


def _terraform(
    site: Site, family: PublishedFamily, version: PublishedVersion
) -> list[Block]:
    name = "image_" * family.name[0].isdigit() + _NO_IDENTIFIER.sub("_", family.name)
    image = _hcl(family.image_name)
    boot = (
        f'data "openstack_images_image_v2" "{name}" {{\n'
        f"  name        = {image}\n  most_recent = true\n}}\n\n"
        'resource "openstack_compute_instance_v2" "server" {\n'
        '  name        = "server"\n'
        f"  image_id    = data.openstack_images_image_v2.{name}.id\n"
        '  flavor_name = "m1.small"\n}'
    )
    url = f"{site.url}/{paths.image_file(family, version)}"
    values = {
        "name": image,
        "image_source_url": _hcl(url),
        "container_format": _hcl(_container(version)),
        "disk_format": _hcl(version.disk_format),
    }
    if site.needs_sign_in:
        values |= {
            "image_source_username": _hcl(USER),
            "image_source_password": _hcl(PASSWORD),
        }
    width = max(map(len, values))
    lines = [f"  {key:{width}} = {value}\n" for key, value in values.items()]
    copy = f'resource "openstack_images_image_v2" "{name}" {{\n{"".join(lines)}}}'
    return [
        Block(
            _("In a cloud that uses this catalogue, boot the current version:"), boot
        ),
        Block(_("In another cloud, create an image from this version:"), copy),
    ]


def _container(version: PublishedVersion) -> str:
    if version.extension == OVA:
        return OVA
    return "compressed" if "." in version.extension else "bare"


def _hcl(text: str) -> str:
    """Return a text as a literal of Terraform's language, which expands ${ and %{."""
    literal = json.dumps(printable(text), ensure_ascii=False)
    return literal.replace("${", "$${").replace("%{", "%%{")


def _incus(
    site: Site, family: PublishedFamily, version: PublishedVersion
) -> list[Block]:
    add = f"remote add catalogue {site.url_with_password()} --protocol=simplestreams --public"
    start = f"launch catalogue:{family.name} server --vm"
    properties = operating_system.merged_properties(family, version)
    if properties.get("os_secure_boot") == "disabled":
        start += " -c security.secureboot=false"
    return [
        Block(
            _("Start a virtual machine with Incus:"),
            f"incus {add}\nincus {start}",
        ),
        Block(
            _("Start a virtual machine with LXD:"),
            f"lxc {add}\nlxc {start}",
        ),
    ]


def _virt_install(family: PublishedFamily, version: PublishedVersion) -> Block:
    osinfo = family.template.get("osinfo_id")
    if not (isinstance(osinfo, str) and _OSINFO.fullmatch(osinfo)):
        osinfo = "detect=on,require=off"
    name = file_name(family.name, version)
    disk = f"--import --disk path={name} --cloud-init"
    if version.disk_format == "iso":
        disk = f"--cdrom {name} --disk size=20"
    command = (
        f"virt-install --name server --arch {family.architecture} --memory 2048 --vcpus 2 \\\n"
        f"    --osinfo {osinfo} --network default \\\n    {disk}"
    )
    if "." in version.extension:
        return Block(
            _("Decompress the downloaded file, and boot the result:"),
            command.replace(name, name.rpartition(".")[0]),
        )
    return Block(_("Boot the downloaded file with virt-install:"), command)


def _virt_builder(site: Site, family: PublishedFamily) -> Block:
    says = _("Make a disk of the current version with virt-builder:")
    build = f"--arch {family.architecture} {family.name}"
    url = site.url_with_password()
    if not site.is_signed:
        source = f"--source {url}/index --no-check-signature"
        return Block(says, f"virt-builder {source} \\\n    {build}")
    key = f"{_curl(site)} -o catalogue.asc {site.url}/key.asc"
    return Block(
        says,
        "mkdir -p ~/.config/virt-builder/repos.d\ncd ~/.config/virt-builder/repos.d\n"
        f"{key}\ncat > catalogue.conf <<END\n[catalogue]\nuri={url}/index.asc\n"
        f"gpgkey=file://$PWD/catalogue.asc\nEND\nvirt-builder {build}",
    )
