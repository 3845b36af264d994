"""The TLS certificate of the service: a check before it is used, and when it expires."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509
from django.core.management.base import CommandError


def check(certificate: str | None, key: str | None) -> None:
    """Raise CommandError unless these files have a TLS certificate and its key.

    The key must not be encrypted. Without ``key``, both are in the file ``certificate``.
    Without both, nothing is checked.
    """
    if not certificate:
        if key:
            raise CommandError(
                "A --keyfile needs the certificate: add --certfile PATH."
            )
        return
    for option, path in (("--certfile", certificate), ("--keyfile", key)):
        if path:
            _check_readable(option, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CommandError(
                f"The certificate in {certificate} is not that of the key in {key or certificate}. "
                "Name the files that were made together."
            ) from error
        raise CommandError(
            f"The file {certificate} has no certificate, or {key or certificate} has no key, in "
            "the format PEM. Convert them with openssl."
        ) from error


def expiry(certificate: str | None) -> float | None:
    """Return when the first certificate in a file expires (Unix time); the file can have a chain.

    Returns None without a file, or if it cannot be read: gunicorn then reports the error.
    """
    if not certificate:
        return None
    try:
        chain = x509.load_pem_x509_certificates(Path(certificate).read_bytes())
    except (OSError, ValueError):
        return None
    return min(it.not_valid_after_utc for it in chain).timestamp()


def _check_readable(option: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise CommandError(
            f"The file {path} of {option} cannot be read: {error.strerror}. The user who runs "
            "the service must be able to read it."
        ) from error


def _refuse_password() -> str:
    raise CommandError(
        "The key of the certificate is encrypted. Remove its passphrase: openssl pkey -in KEY "
        "-out NEW_KEY."
    )
