"""Signatures of published files, with the operator's key.

GnuPG works on a copy of that key: the key's own folder is only read, and no other key of the user takes
part.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from images.publishing import SigningError, gnupg
from images.publishing.gnupg import Key

SECRET_KEY: Final = "secret-key.asc"  # what `create` writes
PUBLIC_KEY: Final = "public-key.asc"
# Every gpgv in use can verify it; older ones know no Ed25519.
KEY_TYPE: Final = "rsa3072"
KEY_SUFFIXES: Final = (".asc", ".gpg", ".key", ".pgp")
KEYS_OF_HOME: Final = "private-keys-v1.d"  # in a home of GnuPG
HOME_PARTS: Final = (
    KEYS_OF_HOME,
    "common.conf",
    "public-keys.d",
    "pubring.gpg",
    "pubring.kbx",
)
VARIABLE: Final = "IMAGECATALOG_PUBLISH_KEY"
UNSET: Final = "leave the variable unset: then nothing is signed."
WAYS_OUT: Final = (
    f"Make a key with `publish_key --create`, name another folder, or {UNSET}"
)

_USER = re.compile(r"[^<>\s][^<>\r\n]* <[^<>@\s]+@[^<>@\s]+>")


@dataclass(frozen=True)
class Signer:
    """A key in a home of GnuPG, and its public part. Methods raise SigningError if GnuPG fails."""

    home: Path
    key: Key
    public_key: bytes  # armoured, as `gpg --import` reads it
    keyring: bytes  # binary, as `gpgv --keyring` reads it

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the key, 40 digits in hex."""
        return self.key.fingerprint

    def detached(self, data: bytes) -> bytes:
        """Return a detached binary signature of ``data``."""
        return self._sign("--detach-sign", data)

    def clearsigned(self, text: bytes) -> bytes:
        """Return ``text`` with a signature around it."""
        return self._sign("--clearsign", text)

    def _sign(self, form: str, data: bytes) -> bytes:
        user = ("--local-user", self.fingerprint)
        return gnupg.run(self.home, *user, "--digest-algo", "SHA512", form, data=data)


@contextmanager
def opened(folder: Path) -> Iterator[Signer]:
    """A context manager that yields the signer with the key in a folder.

    The folder has the file of an exported secret key, or is a home of GnuPG. Raises SigningError
    if GnuPG is not installed, or the folder does not have exactly one key that can sign.
    """
    if found := problem(folder):
        raise SigningError(found)
    with gnupg.temporary_home() as home:
        _copy_keys(folder, home)
        key = _only_key(folder, gnupg.secret_keys(home))
        exported = ("--export-options", "export-minimal", "--export", key.fingerprint)
        armoured = gnupg.run(home, "--armor", *exported)
        yield Signer(home, key, armoured, gnupg.run(home, *exported))


def problem(folder: Path) -> str:
    """Return why nothing can be signed with the key in a folder, as far as it is known without GnuPG.

    The text says what to do; it is empty if no problem was found.
    """
    for program in ("gpg", "gpg-agent"):
        if shutil.which(program) is None:
            return (
                f"{VARIABLE} is set, but the program {program} is not installed. Install GnuPG "
                f"(on Debian the packages gpg and gpg-agent), or {UNSET}"
            )
    try:
        files = _key_files(folder)
        for path in files:
            path.open("rb").close()
    except OSError as error:
        unreadable = f"{error.filename} cannot be read: {error.strerror}."
        return f"{VARIABLE}: {unreadable} {WAYS_OUT}"
    if files or (folder / KEYS_OF_HOME).is_dir():
        return ""
    return f"{VARIABLE}: there is no key in {folder}. {WAYS_OUT}"


def create(folder: Path, user: str) -> Key:
    """Create a key without a passphrase and write it into a new or empty folder. Return the key.

    ``user`` is "Name <mail>". Only the user of this process can read the folder and its files.
    Raises SigningError if the folder is not empty, ``user`` is something else, or GnuPG fails, and
    OSError if the folder cannot be written.
    """
    if not _USER.fullmatch(user):
        raise SigningError(
            f"{user!r} is not the user of a key. Use for example 'Images <images@example.org>'."
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SigningError(
            f"{folder} is not empty, and no key is replaced. Name a new folder."
        )
    folder.chmod(0o700)
    with gnupg.temporary_home() as home:
        gnupg.run(home, "--quick-generate-key", user, KEY_TYPE, "sign", "never")
        (key,) = gnupg.secret_keys(home)
        _export(home, "--export-secret-keys", key, folder / SECRET_KEY)
        _export(home, "--export", key, folder / PUBLIC_KEY)
        return key


def _export(home: Path, form: str, key: Key, path: Path) -> None:
    content = gnupg.run(home, "--armor", form, key.fingerprint)
    with open(path, "xb", opener=_private) as file:
        file.write(content)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _key_files(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.suffix in KEY_SUFFIXES)
    return sorted(path for path in files if path.is_file())


def _copy_keys(folder: Path, home: Path) -> None:
    """Copy the keys in a folder, which is a home of GnuPG or has exported keys, into another home."""
    try:
        if not (folder / KEYS_OF_HOME).is_dir():
            for path in _key_files(folder):
                gnupg.run(home, "--import", data=path.read_bytes())
            return
        for part in (folder / name for name in HOME_PARTS):
            if part.is_dir():
                shutil.copytree(part, home / part.name, dirs_exist_ok=True)
            elif part.exists():
                shutil.copy(part, home)
    except OSError as error:
        raise SigningError(
            f"The key in {folder} cannot be copied: {error.filename}: {error.strerror}."
        ) from error


def _only_key(folder: Path, keys: list[Key]) -> Key:
    usable = [key for key in keys if not key.fault]
    if len(usable) == 1:
        return usable[0]
    if usable:
        names = ", ".join(key.fingerprint for key in usable)
        raise SigningError(
            f"{VARIABLE}: {folder} has {len(usable)} secret keys ({names}). Leave one there."
        )
    if keys:
        named = f"the key {keys[0].fingerprint} in {folder} {keys[0].fault}."
        raise SigningError(f"{VARIABLE}: {named} {WAYS_OUT}")
    raise SigningError(f"{VARIABLE}: there is no secret key in {folder}. {WAYS_OUT}")
