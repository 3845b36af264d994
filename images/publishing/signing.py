"""Signatures of published files, made by GnuPG with the operator's key.

GnuPG works in a temporary home with a copy of that key: the key's own folder is only read, and no other
key of the user takes part. See https://www.gnupg.org/documentation/manuals/gnupg/.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

SECRET_KEY: Final = "secret-key.asc"  # what `create` writes
PUBLIC_KEY: Final = "public-key.asc"
# Verified by every gpgv that is in use; older ones know no Ed25519.
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
TIMEOUT: Final = 60.0  # seconds, for each run of gpg
# The empty passphrase is for keys that have none: nobody is there to type one.
OPTIONS: Final = (
    *("--batch", "--no-tty", "--quiet", "--yes"),
    *("--pinentry-mode", "loopback", "--passphrase", ""),
    *("--trust-model", "always", "--no-auto-check-trustdb"),
)
VARIABLE: Final = "IMAGECATALOG_PUBLISH_KEY"
WAYS_OUT: Final = (
    f"Make a key with `publish_key --create`, name another folder in {VARIABLE}, or leave the "
    "variable unset: then nothing is signed."
)
FAULTS: Final = {"d": "is disabled", "e": "has expired", "r": "is revoked"}

_USER = re.compile(r"[^<>\s][^<>\r\n]* <[^<>@\s]+@[^<>@\s]+>")


class SigningError(Exception):
    """The error if nothing can be signed; the message is for operators and says what to do."""


class Key(NamedTuple):
    """A secret key, and what is wrong with it (``""``: it can sign)."""

    fingerprint: str  # 40 digits in hex
    user: str  # "Name <mail>"
    fault: str


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
        return _gpg(self.home, *user, "--digest-algo", "SHA512", form, data=data)


@contextmanager
def opened(folder: Path) -> Iterator[Signer]:
    """A context manager that yields the signer with the key in a folder.

    The folder has the file of an exported secret key, or is a home of GnuPG. Raises SigningError
    if GnuPG is not installed, or the folder does not have exactly one key that can sign.
    """
    if found := problem(folder):
        raise SigningError(found)
    with _temporary_home() as home:
        _copy_keys(folder, home)
        key = _only_key(folder, _secret_keys(home))
        exported = ("--export-options", "export-minimal", "--export", key.fingerprint)
        public_key = _gpg(home, "--armor", *exported)
        yield Signer(home, key, public_key, _gpg(home, *exported))


def problem(folder: Path) -> str:
    """Return why nothing can be signed with the key in a folder, as far as can be seen without GnuPG.

    The sentence says what to do; it is empty if no problem was found.
    """
    if shutil.which("gpg") is None:
        return (
            f"{VARIABLE} is set, but the program gpg is not installed. Install GnuPG (on Debian "
            "the packages gpg and gpg-agent), or leave the variable unset: then nothing is signed."
        )
    if not (folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)):
        return f"{VARIABLE}: {folder} is not a folder that can be read. {WAYS_OUT}"
    if (folder / KEYS_OF_HOME).is_dir():
        return ""
    files = _key_files(folder)
    unreadable = [path for path in files if not os.access(path, os.R_OK)]
    if unreadable:
        return (
            f"{VARIABLE}: {unreadable[0]} cannot be read. Let the user who runs the service own "
            "the file."
        )
    return "" if files else f"{VARIABLE}: there is no key in {folder}. {WAYS_OUT}"


def create(folder: Path, user: str) -> Key:
    """Create a key without a passphrase and write it into a new or empty folder. Return the key.

    ``user`` is "Name <mail>". Only the user of this process can read the folder and its files.
    Raises SigningError if the folder is not empty or ``user`` is something else, or GnuPG fails,
    and OSError if the folder cannot be written.
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
    with _temporary_home() as home:
        _gpg(home, "--quick-generate-key", user, KEY_TYPE, "sign", "never")
        (key,) = _secret_keys(home)
        for name, kind in (
            (SECRET_KEY, "--export-secret-keys"),
            (PUBLIC_KEY, "--export"),
        ):
            content = _gpg(home, "--armor", kind, key.fingerprint)
            with open(folder / name, "xb", opener=_private) as file:
                file.write(content)
        return key


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _temporary_home() -> Iterator[Path]:
    """A context manager that yields a new home of GnuPG, and at the end stops its agent and removes it."""
    home = Path(tempfile.mkdtemp(prefix="imagecatalog-gpg-"))  # of mode 0700
    try:
        yield home
    finally:
        if gpgconf := shutil.which("gpgconf"):
            subprocess.run(
                [gpgconf, "--homedir", str(home), "--kill", "all"],
                capture_output=True,
                timeout=TIMEOUT,
            )
        shutil.rmtree(home, ignore_errors=True)


def _key_files(folder: Path) -> list[Path]:
    files = (path for path in folder.iterdir() if path.suffix in KEY_SUFFIXES)
    return sorted(path for path in files if path.is_file())


def _copy_keys(folder: Path, home: Path) -> None:
    """Copy the keys in a folder, which is a home of GnuPG or has exported keys, into another home."""
    try:
        if not (folder / KEYS_OF_HOME).is_dir():
            for path in _key_files(folder):
                _gpg(home, "--import", data=path.read_bytes())
            return
        for part in (folder / name for name in HOME_PARTS):
            if part.is_dir():
                shutil.copytree(part, home / part.name)
            elif part.exists():
                shutil.copy(part, home)
    except OSError as error:
        raise SigningError(
            f"{VARIABLE}: {error.filename} cannot be read: {error.strerror}. Let the user who "
            "runs the service own the folder and its files."
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
        raise SigningError(
            f"{VARIABLE}: the key {keys[0].fingerprint} in {folder} {keys[0].fault}. {WAYS_OUT}"
        )
    raise SigningError(f"{VARIABLE}: there is no secret key in {folder}. {WAYS_OUT}")


def _secret_keys(home: Path) -> list[Key]:
    """Return the secret keys in a home of GnuPG.

    Format: doc/DETAILS in the sources of GnuPG.
    """
    listing = _gpg(home, "--with-colons", "--list-secret-keys").decode(errors="replace")
    keys: list[Key] = []
    fault = ""
    wanted = ""  # the record that comes next for the key
    for line in listing.splitlines():
        record, *fields = line.split(":")
        if record == "sec":
            can_sign = "S" in fields[10]
            fault = FAULTS.get(fields[0], "" if can_sign else "cannot sign")
            wanted = "fpr"
        elif record == wanted == "fpr":
            keys.append(Key(fields[8], "", fault))
            wanted = "uid"
        elif record == wanted == "uid":
            keys[-1] = keys[-1]._replace(user=fields[8].replace(r"\x3a", ":"))
            wanted = ""
    return keys


def _gpg(home: Path, *arguments: str, data: bytes = b"") -> bytes:
    """Run gpg in a home with ``data`` as its input, and return its output.

    Raises SigningError if gpg is missing, fails or takes too long.
    """
    command = ["gpg", "--homedir", str(home), *OPTIONS, *arguments]
    try:
        done = subprocess.run(
            command,
            input=data,
            capture_output=True,
            timeout=TIMEOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        raise SigningError(
            f"gpg has not ended within {TIMEOUT:.0f} seconds. Look whether the machine is "
            "overloaded, and try again."
        ) from None
    except OSError as error:
        raise SigningError(f"gpg cannot be run: {error.strerror}.") from error
    if done.returncode:
        raise SigningError(_sentence(done.stderr.decode(errors="replace")))
    return done.stdout


def _sentence(complaint: str) -> str:
    """Return what gpg's complaint means for operators, and what to do."""
    if "passphrase" in complaint or "pinentry" in complaint:
        return (
            f"The key in {VARIABLE} has a passphrase, which nobody is there to type. Remove it "
            "(gpg --change-passphrase KEY), export the key again, and keep its folder private."
        )
    last = complaint.strip().splitlines()[-1:] or ["it gives no reason"]
    return f"gpg has failed: {last[0].removeprefix('gpg: ')}. {WAYS_OUT}"
