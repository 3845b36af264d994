"""The safety checks of image data: their names, advice for each, and which can be relaxed.

The operator names the checks to relax in IMAGECATALOG_FORMAT_CHECKS. The package ``images.formats``
does the checks.
"""

from __future__ import annotations

from typing import Final

SELF_CONTAINED: Final = "Make it one self-contained file with qemu-img convert."
WHOLE: Final = "Check that the file is whole, then upload it again."
CONVERT: Final = "Convert it again with qemu-img convert."
PACK: Final = "Pack it again: plain files only, none of them sparse."

# What to do about a failed check. No check whose failure can mean that other files are read, or
# that a consumer needs endless time or memory, is among those that the operator can relax.
ADVICE: Final[dict[str, str]] = {
    "qcow2_backing_file": SELF_CONTAINED,
    "qcow2_data_file": SELF_CONTAINED,
    "qcow2_unknown_features": "Convert it with qemu-img convert -O qcow2, without options.",
    "qcow2_header": CONVERT,
    "qcow2_corrupt": "Repair it with qemu-img check -r all.",
    "qcow2_cut_off": WHOLE,
    "qed_banned": "Convert it with qemu-img convert -O qcow2.",
    "vhd_parent": SELF_CONTAINED,
    "vhd_header": CONVERT,
    "vhdx_parent": SELF_CONTAINED,
    "vhdx_header": CONVERT,
    "vhdx_log": "Attach the disk once and detach it, or convert it with qemu-img convert.",
    "vdi_parent": SELF_CONTAINED,
    "vdi_header": CONVERT,
    "vmdk_parent": SELF_CONTAINED,
    "vmdk_extents": SELF_CONTAINED,
    "vmdk_descriptor": "Convert it to the subformat monolithicSparse or streamOptimized.",
    "vmdk_header": CONVERT,
    "vmdk_footer": "Convert it again to the subformat streamOptimized.",
    "gpt_mbr": "Repair the partition table.",
    "iso_cut_off": WHOLE,
    "luks_version": "Encrypt it with LUKS version 1 or 2.",
    "incomplete": WHOLE,
    "archive": PACK,
    "archive_cut_off": WHOLE,
    "archive_files": PACK,
    "archive_trailing_data": PACK,
    "ovf_references": "Let it refer to files of its own package only, by their plain names.",
    "compression": "Compress it once, with gzip, bzip2 or xz, or upload it uncompressed.",
    "compression_cut_off": WHOLE,
    "compression_limits": "Upload it uncompressed.",
    "container": "Set container_format to what the data is, for example bare.",
}
RELAXABLE: Final = ("gpt_mbr", "iso_cut_off", "luks_version", "qcow2_corrupt")
