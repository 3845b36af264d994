"""Files of many tools and packages, with what they are: the table behind test_corpus.py.

Each file is made when it is first asked for. What a machine cannot make is skipped there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

MIB = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A file: how it is made as ``out``, and what the inspection must say of it."""

    name: str
    command: str
    what: str = "raw"  # the format that is recognised
    size: int | None = None  # its virtual size; None: the number of bytes
    check: str = ""  # the check that refuses it
    also: dict[str, int] = field(default_factory=dict)  # other formats, sizes


def qemu(name, options, what, size=8 * MIB, check=""):
    command = f"{DATA}; qemu-img convert -f raw -O {options} data out"
    return Entry(name, command, what, size, check)


def created(name, options, what, size=8 * MIB, check=""):
    return Entry(name, f"qemu-img create -f {options}", what, size, check)


def volume(name, command, size="4M", what="raw"):
    return Entry(name, f"truncate -s {size} out; {command}", what)


def shipped(name, path, what="raw"):
    return Entry(name, f"cp -L {path} out", what)


DATA = "yes payload | head -c 8388608 >data"
SOME = "seq 200000 >data"
TREE = "mkdir -p tree/sub; echo a >tree/a; head -c 300000 /dev/urandom >tree/sub/b"
SECRET = "--object secret,id=s,data=x"
BACK = "qemu-img create -q -f raw back 8M"
LUKS = "cryptsetup -q --pbkdf-force-iterations"

DISKS = [
    # qemu-img, with its documented options
    qemu("qcow2", "qcow2", "qcow2"),
    qemu("qcow2 0.10", "qcow2 -o compat=0.10", "qcow2"),
    qemu("qcow2 clusters of 512", "qcow2 -o cluster_size=512", "qcow2"),
    qemu("qcow2 clusters of 2 MiB", "qcow2 -o cluster_size=2M", "qcow2"),
    qemu("qcow2 compressed", "qcow2 -c", "qcow2"),
    qemu("qcow2 zstd", "qcow2 -c -o compression_type=zstd", "qcow2"),
    qemu("qcow2 extended L2", "qcow2 -o extended_l2=on", "qcow2"),
    qemu("qcow2 lazy refcounts", "qcow2 -o lazy_refcounts=on", "qcow2"),
    qemu("qcow2 refcounts of 1 bit", "qcow2 -o refcount_bits=1", "qcow2"),
    qemu("qcow2 refcounts of 64 bits", "qcow2 -o refcount_bits=64", "qcow2"),
    qemu("qcow2 preallocated", "qcow2 -o preallocation=metadata", "qcow2"),
    qemu("qcow2 fully preallocated", "qcow2 -o preallocation=full", "qcow2"),
    created("qcow2 empty", "qcow2 out 8M", "qcow2"),
    created("qcow2 large", "qcow2 out 60T", "qcow2", 60 << 40),
    created(
        "qcow2 encrypted",
        f"qcow2 {SECRET} -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 out 8M",
        "qcow2",
    ),
    Entry(
        "qcow2 with a snapshot and a bitmap",
        "qemu-img create -q -f qcow2 out 8M; qemu-img snapshot -c s out;"
        " qemu-img bitmap --add out b",
        "qcow2",
        8 * MIB,
    ),
    Entry(
        "qcow2 with a backing file",
        f"{BACK}; qemu-img create -f qcow2 -b back -F raw out",
        "qcow2",
        check="qcow2_backing_file",
    ),
    Entry(
        "qcow2 with a data file",
        "qemu-img create -f qcow2 -o data_file=data,data_file_raw=on out 8M",
        "qcow2",
        check="qcow2_data_file",
    ),
    Entry("qed", "qemu-img create -f qed out 8M", "qed", check="qed_banned"),
    qemu("vmdk", "vmdk", "vmdk"),
    qemu("vmdk streamOptimized", "vmdk -o subformat=streamOptimized", "vmdk"),
    qemu("vmdk version 6", "vmdk -o compat6", "vmdk"),
    qemu("vmdk zeroed grain", "vmdk -o zeroed_grain=on", "vmdk"),
    qemu("vmdk lsilogic", "vmdk -o adapter_type=lsilogic,hwversion=13", "vmdk"),
    Entry(
        "vmdk with a parent",
        "qemu-img create -q -f vmdk back 8M;"
        " qemu-img create -f vmdk -b back -F vmdk out",
        "vmdk",
        check="vmdk_parent",
    ),
    *(
        Entry(
            f"vmdk {kind}",
            f"qemu-img create -f vmdk -o subformat={kind} out 8M",
            check="vmdk_extents",
        )
        for kind in (
            *("monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"),
        )
    ),
    qemu("vdi", "vdi", "vdi"),
    qemu("vdi static", "vdi -o static=on", "vdi"),
    qemu("vhd", "vpc -o force_size=on", "vhd"),
    created("vhd empty", "vpc -o force_size=on out 8M", "vhd"),
    Entry(
        "vhd fixed",
        f"{DATA}; qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on data out",
        also={"vhd": 8 * MIB},
    ),
    qemu("vhdx", "vhdx", "vhdx"),
    qemu("vhdx fixed", "vhdx -o subformat=fixed", "vhdx"),
    qemu("vhdx with a long log", "vhdx -o log_size=4M,block_size=8M", "vhdx"),
    qemu("luks", f"luks {SECRET} -o key-secret=s,iter-time=10", "luks"),
    Entry("parallels", "qemu-img create -f parallels out 8M"),
    Entry("qcow version 1", "qemu-img create -f qcow out 8M", "qcow2", check="qcow2_unknown_features"),
    # encryption
    Entry(
        "luks1 of cryptsetup",
        f"truncate -s 4M out; echo x | {LUKS} 1000 luksFormat --type luks1 out -",
        "luks",
        2 * MIB,
    ),
    Entry(
        "luks2 of cryptsetup",
        f"truncate -s 20M out; echo x | {LUKS} 4 --pbkdf pbkdf2 --pbkdf-force-iterations 1000"
        " luksFormat --type luks2 out -",
        "luks",
        4 * MIB,
    ),
    # partition tables
    volume("gpt", "sgdisk -n 1:2048:+1M out", what="gpt"),
    volume("gpt without partitions", "sgdisk -o out", what="gpt"),
    volume("gpt hybrid", "sgdisk -n 1:2048:+1M out; sgdisk -h 1 out", what="gpt"),
    volume("gpt of sfdisk", "printf 'label: gpt\\n,1M,L\\n' | sfdisk out", what="gpt"),
    volume("gpt of parted", "parted -s out mklabel gpt mkpart a 1MiB 2MiB", what="gpt"),
    volume("gpt booted by BIOS", "parted -s out mklabel gpt disk_set pmbr_boot on", what="gpt"),
    volume("mbr", "printf 'label: dos\\n,1M,83,*\\n' | sfdisk out", what="gpt"),
    volume("mbr extended", "printf 'label: dos\\n,1M,83\\n,9M,5\\n,1M,83\\n' | sfdisk out", "16M", "gpt"),
    volume("mbr without partitions", "printf 'label: dos\\n' | sfdisk out"),
    volume("mbr with boot code", "printf 'label: dos\\n,1M,83,*\\n' | sfdisk out;"
           " dd if=/usr/lib/syslinux/mbr/mbr.bin of=out conv=notrunc", what="gpt"),
    # volumes
    volume("fat12 floppy", "mkfs.fat out", "1440K"),
    volume("fat12 on a disk", "mkfs.fat -F 12 out"),
    volume("fat16", "mkfs.fat -F 16 out", "16M"),
    volume("fat32", "mkfs.fat -F 32 out", "40M"),
    volume("fat with one table", "mkfs.fat -f 1 out"),
    volume("fat of mtools", "mformat -i out -f 1440 ::", "1440K"),
    volume("fat bootable by syslinux", "mkfs.fat out; syslinux --install out"),
    volume("ntfs", "mkfs.ntfs -F -q out", "8M"),
    volume("exfat", "mkfs.exfat out", "8M"),
    volume("ext2", "mkfs.ext2 -q out"),
    volume("ext4", "mkfs.ext4 -q out", "8M"),
    volume("btrfs", "mkfs.btrfs -q --mixed out", "20M"),
    volume("swap", "mkswap out"),
    volume("squashfs", f"{TREE}; mksquashfs tree out -noappend -quiet", "0"),
    volume("erofs", f"{TREE}; mkfs.erofs out tree", "0"),
    volume("minix", "mkfs.minix out"),
    volume("zeros", ":"),
    volume("random", "head -c 3000000 /dev/urandom >out"),
    # optical discs
    volume("iso of xorriso", f"{TREE}; xorriso -as mkisofs -quiet -o out tree", "0", "iso"),
    volume("iso of xorriso, with Joliet and Rock Ridge", f"{TREE}; xorriso -as mkisofs -quiet -J -R -o out tree", "0", "iso"),
    volume("iso of genisoimage", f"{TREE}; genisoimage -quiet -o out tree", "0", "iso"),
    volume("iso with udf", f"{TREE}; genisoimage -quiet -udf -allow-limited-size -o out tree", "0", "iso"),
    volume("iso hybrid of xorriso", f"{TREE}; cp /usr/lib/ISOLINUX/isolinux.bin tree/;"
           " cp /usr/lib/syslinux/modules/bios/ldlinux.c32 tree/;"
           " xorriso -as mkisofs -quiet -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4"
           " -boot-info-table -isohybrid-mbr /usr/lib/ISOLINUX/isohdpfx.bin -o out tree", "0", "iso"),
    volume("iso with a gpt partition", f"{TREE}; xorriso -as mkisofs -quiet -appended_part_as_gpt"
           " -append_partition 2 0xef tree/sub/b -o out tree", "0", "iso"),
    volume("udf for a disc", "mkudffs --media-type=dvd out", "8M", "iso"),
    volume("udf for a disk", "mkudffs --media-type=hd out", "8M", "iso"),
    volume("udf 1.50", "mkudffs --udfrev=1.50 --blocksize=2048 out", "8M", "iso"),
    # what Debian ships
    shipped("memtest86+ x64", "/usr/lib/memtest86+/memtest86+x64.iso", "iso"),
    shipped("memtest86+ ia32", "/usr/lib/memtest86+/memtest86+ia32.iso", "iso"),
    shipped("memtest86+ kernel", "/boot/memtest86+x64.bin"),
    shipped("ipxe iso", "/usr/lib/ipxe/ipxe.iso", "iso"),
    shipped("ipxe kernel", "/usr/lib/ipxe/ipxe.lkrn"),
    shipped("ipxe undi", "/usr/lib/ipxe/undionly.kpxe"),
    shipped("grub rescue cd", "/usr/lib/grub-rescue/grub-rescue-cdrom.iso", "iso"),
    shipped("grub rescue floppy", "/usr/lib/grub-rescue/grub-rescue-floppy.img", "iso"),
    shipped("ovmf code", "/usr/share/OVMF/OVMF_CODE_4M.fd"),
    shipped("ovmf variables", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    shipped("syslinux mbr", "/usr/lib/syslinux/mbr/gptmbr.bin"),
    shipped("isolinux", "/usr/lib/ISOLINUX/isolinux.bin"),
]  # fmt: skip

OVA = f"{TREE}; mkdir o; echo '<Envelope/>' >o/a.ovf; qemu-img create -q -f vmdk -o subformat=streamOptimized o/d.vmdk 8M; cd o"
BACKED = f"{BACK}; qemu-img create -q -f qcow2 -b back -F raw d"
PACKED = "a.ovf d.vmdk"

# (name, command, container, the check that refuses it or nothing)
PACKAGES = [
    ("GNU tar", f"{OVA}; tar -cf ../out {PACKED}", "ova", ""),
    ("GNU tar, ustar", f"{OVA}; tar --format=ustar -cf ../out {PACKED}", "ova", ""),
    ("GNU tar, pax", f"{OVA}; tar --format=pax -cf ../out {PACKED}", "ova", ""),
    ("GNU tar, v7", f"{OVA}; tar --format=v7 -cf ../out {PACKED}", "ova", ""),
    ("GNU tar of a folder", f"{OVA}; cd ..; tar -cf out o", "ova", ""),
    ("bsdtar", f"{OVA}; bsdtar --no-read-sparse -cf ../out {PACKED}", "ova", ""),
    ("bsdtar with a sparse file", f"{OVA}; truncate -s 1M s; bsdtar -cf ../out {PACKED} s", "ova", "archive_files"),
    ("bsdtar, gnutar", f"{OVA}; bsdtar --format=gnutar -cf ../out {PACKED}", "ova", ""),
    ("busybox tar", f"{OVA}; busybox tar -cf ../out {PACKED}", "ova", ""),
    ("Python tar", f"{OVA}; python3 -m tarfile -c ../out {PACKED}", "ova", ""),
    ("OVA with a gzip disk", f"{OVA}; gzip d.vmdk; tar -cf ../out a.ovf d.vmdk.gz", "ova", ""),
    ("OVA with a bzip2 disk", f"{OVA}; bzip2 d.vmdk; tar -cf ../out a.ovf d.vmdk.bz2", "ova", ""),
    ("OVA with an xz disk", f"{OVA}; xz d.vmdk; tar -cf ../out a.ovf d.vmdk.xz", "ova", ""),
    ("OVA with a floppy", f"{OVA}; truncate -s 1440K f.flp; mkfs.fat f.flp; tar -cf ../out {PACKED} f.flp", "ova", ""),
    ("OVA with a zstd disk", f"{OVA}; zstd -q d.vmdk; tar -cf ../out a.ovf d.vmdk.zst", "ova", "compression"),
    ("OVA with a zip disk", f"{OVA}; zip -q d.zip d.vmdk; tar -cf ../out a.ovf d.zip", "ova", "compression"),
    ("OVA with a backed disk", f"{BACKED}; tar -cf out d", "ova", "qcow2_backing_file"),
    ("OVA with a compressed backed disk", f"{BACKED}; gzip d; tar -cf out d.gz", "ova", "qcow2_backing_file"),
    ("OVA with a link", f"{OVA}; ln -s a.ovf l; tar -cf ../out {PACKED} l", "ova", "archive_files"),
    ("OVA with a hard link", f"{OVA}; ln a.ovf l; tar -cf ../out {PACKED} l", "ova", "archive_files"),
    ("OVA with an absolute name", f"{OVA}; tar -Pcf ../out $PWD/a.ovf", "ova", "archive_files"),
    ("OVA with a name above", f"{OVA}; cd ../tree; tar -Pcf ../out ../o/a.ovf", "ova", "archive_files"),
    ("OVA with a sparse file", f"{OVA}; truncate -s 1M s; tar -Scf ../out {PACKED} s", "ova", "archive_files"),
    ("two archives", f"{OVA}; tar -cf ../o1 a.ovf; tar -cf ../o2 d.vmdk; cat ../o1 ../o2 >../out", "ova", "archive_trailing_data"),
    ("OVA compressed", f"{OVA}; tar -czf ../out {PACKED}", "ova", "container"),
    ("cpio for an OVA", f"{OVA}; ls | bsdtar --format=newc -cf ../out -T -", "ova", "container"),
    ("docker", f"{OVA}; tar -cf ../layer.tar d.vmdk; cd ..; tar -cf out layer.tar", "docker", ""),
    ("docker compressed", f"{OVA}; tar -czf ../out {PACKED}", "docker", ""),
    ("gzip", f"{SOME}; gzip -c data >out", "compressed", ""),
    ("gzip -9 with a name", f"{SOME}; gzip -9 data; mv data.gz out", "compressed", ""),
    ("pigz", f"{SOME}; pigz -c data >out", "compressed", ""),
    ("gzip in two parts", f"{SOME}; gzip -c data >out; gzip -c data >>out", "compressed", ""),
    ("bzip2", f"{SOME}; bzip2 -c data >out", "compressed", ""),
    ("xz", f"{SOME}; xz -c data >out", "compressed", ""),
    ("xz -9 with threads", f"{SOME}; xz -9 -T2 -c data >out", "compressed", ""),
    ("xz with a filter and crc32", f"{SOME}; xz --check=crc32 --x86 --lzma2 -c data >out", "compressed", ""),
    ("gzip cut off", f"{SOME}; gzip -c data | head -c -9 >out", "compressed", "compression_cut_off"),
    ("bzip2 cut off", f"{SOME}; bzip2 -c data | head -c -9 >out", "compressed", "compression_cut_off"),
    ("xz cut off", f"{SOME}; xz -c data | head -c -9 >out", "compressed", "compression_cut_off"),
    ("gzip with data behind", f"{SOME}; gzip -c data >out; echo x >>out", "compressed", "compression"),
    ("gzip of a backed disk", f"{BACKED}; gzip -c d >out", "compressed", "qcow2_backing_file"),
    ("gzip of gzip of a backed disk", f"{BACKED}; gzip -c d | gzip -c >out", "compressed", "qcow2_backing_file"),
    ("bzip2 of a backed disk", f"{BACKED}; bzip2 -c d >out", "compressed", "qcow2_backing_file"),
    ("xz of a backed disk", f"{BACKED}; xz -c d >out", "compressed", "qcow2_backing_file"),
    ("zstd", f"{SOME}; zstd -q -c data >out", "compressed", "compression"),
    ("lz4", f"{SOME}; lz4 -q -c data >out", "compressed", "compression"),
    ("lzip", f"{SOME}; lzip -c data >out", "compressed", "compression"),
    ("lzma alone", f"{SOME}; xz --format=lzma -c data >out", "compressed", "container"),
    ("zip", f"{SOME}; zip -q out.zip data; mv out.zip out", "compressed", "compression"),
    ("zlib", f"{SOME}; python3 -c 'import zlib; d = open(\"data\", \"rb\").read(); open(\"out\", \"wb\").write(zlib.compress(d))'", "compressed", "container"),
    ("not compressed", f"{SOME}; mv data out", "compressed", "container"),
]  # fmt: skip


TOOLS = frozenset(
    [
        "qemu-img",
        "cryptsetup",
        "sgdisk",
        "sfdisk",
        "parted",
        "mkfs.fat",
        "mformat",
        "syslinux",
        "mkfs.ntfs",
        "mkfs.exfat",
        "mkfs.ext2",
        "mkfs.ext4",
        "mkfs.btrfs",
        "mkswap",
        "mksquashfs",
        "mkfs.erofs",
        "mkfs.minix",
        "xorriso",
        "genisoimage",
        "mkudffs",
        "bsdtar",
        "busybox",
        "zip",
        "zstd",
        "lz4",
        "lzip",
        "pigz",
        "xz",
        "bzip2",
    ]
)
SHIPPED = re.compile("/(usr/lib|usr/share|boot)/[^ ;]+")


def needs(command: str) -> set[str]:
    """Return the programs and files of packages that a command uses."""
    programs = set(command.replace(";", " ").split()) & TOOLS
    return programs | {file[0] for file in SHIPPED.finditer(command)}


def make(command: str, folder: Path) -> bytes:
    """Run the command of a file in a folder of its own, and return the file."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    for need in sorted(needs(command)):
        if not (shutil.which(need, path=path) or Path(need).is_file()):
            missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            missing(f"{need} is not installed (see .ci/run)")
    folder.mkdir()
    environment = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}
    for _ in range(20):  # luks: "Unable to get accurate CPU usage" now and then
        words = ["bash", "-ec", command]
        done = subprocess.run(words, cwd=folder, capture_output=True, env=environment)
        if b"CPU usage" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    data = (folder / "out").read_bytes()
    shutil.rmtree(folder)
    return data
