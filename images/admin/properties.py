"""The custom properties that compute services such as Nova read, and their types.

A custom property can have any name and any text. Compute services read some properties as a number,
a flag or an id: any other text would only fail later, when a server is created. The forms of the
admin show the types as hints and check the values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from images.attributes import ID_PATTERN

FLAGS = ("true", "false", "yes", "no", "on", "off", "1", "0")
UUID = re.compile(ID_PATTERN)

NUMBERS = (
    "hw_cpu_cores",
    "hw_cpu_max_cores",
    "hw_cpu_max_sockets",
    "hw_cpu_max_threads",
    "hw_cpu_sockets",
    "hw_cpu_threads",
    "hw_numa_nodes",
    "hw_serial_port_count",
    "hw_video_ram",
)
SWITCHES = (
    "hw_boot_menu",
    "hw_qemu_guest_agent",
    "hw_vif_multiqueue_enabled",
    "os_require_quiesce",
    "os_secure_boot_signature_verify",
)
IDS = ("kernel_id", "ramdisk_id", "instance_uuid")
# Suggestions only: hypervisors may accept other values.
SUGGESTED: Mapping[str, tuple[str, ...]] = {
    "architecture": ("x86_64", "aarch64", "ppc64le", "riscv64", "s390x"),
    "hw_cdrom_bus": ("ide", "sata", "scsi", "usb", "virtio"),
    "hw_disk_bus": ("virtio", "scsi", "sata", "ide", "usb"),
    "hw_firmware_type": ("bios", "uefi"),
    "hw_machine_type": ("q35", "pc", "virt"),
    "hw_rng_model": ("virtio",),
    "hw_scsi_model": ("virtio-scsi",),
    "hw_vif_model": ("virtio", "e1000", "e1000e", "vmxnet3"),
    "hw_video_model": ("virtio", "vga", "qxl", "none"),
    "hypervisor_type": ("qemu", "kvm", "vmware", "hyperv"),
    "os_admin_user": ("root", "debian", "ubuntu", "cloud-user"),
    "os_distro": ("debian", "ubuntu", "fedora", "rhel", "rocky", "alpine", "windows"),
    "os_type": ("linux", "windows"),
    "os_version": (),
}
KNOWN = tuple(sorted((*NUMBERS, *SWITCHES, *IDS, *SUGGESTED)))


def _number(value: str) -> str:
    if value.isdecimal() and value.isascii():
        return ""
    return _("enter a whole number")


def _switch(value: str) -> str:
    return "" if value.lower() in FLAGS else _("enter true or false")


def _id(value: str) -> str:
    return "" if UUID.match(value) else _("enter the id of an image")


_CHECKS: Mapping[str, Callable[[str], str]] = {
    **dict.fromkeys(NUMBERS, _number),
    **dict.fromkeys(SWITCHES, _switch),
    **dict.fromkeys(IDS, _id),
}


def complaint(name: str, value: str) -> str:
    """Return a sentence on what is wrong with a property's value; empty if the value is valid."""
    error = _CHECKS[name](value) if name in _CHECKS else ""
    return f"{name}: {error}." if error else ""


def rows(pairs: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Return a row with name, value and type for each (name, value) in ``pairs``, for the image's form."""
    return [{"name": name, "value": value, "kind": kind(name)} for name, value in pairs]


def kind(name: str) -> str:
    """Return the type of a property as text: number, true or false, image id, or text."""
    if name in NUMBERS:
        return _("number")
    if name in SWITCHES:
        return _("true or false")
    return _("image id") if name in IDS else _("text")
