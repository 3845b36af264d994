"""Signatures of image data, verified with the operator's certificates.

The custom properties that describe a signature have the names of the Image API ("Image signature
verification"), so that images signed for other services can be verified here.
"""

from __future__ import annotations

import logging
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa, utils
from cryptography.x509 import (
    Certificate,
    InvalidVersion,
    load_pem_x509_certificate,
)
from django.conf import settings
from django.utils import timezone

from images.errors import Invalid

log = logging.getLogger(__name__)

VALUE: Final = "img_signature"
METHOD: Final = "img_signature_hash_method"
KIND: Final = "img_signature_key_type"
CERTIFICATE: Final = "img_signature_certificate_uuid"
PROPERTIES: Final = (VALUE, METHOD, KIND, CERTIFICATE)
METHODS: Final[dict[str, hashes.HashAlgorithm]] = {
    "SHA-224": hashes.SHA224(),
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}
CURVES: Final = {"ECC_SECP384R1": "secp384r1", "ECC_SECP521R1": "secp521r1"}
KINDS: Final = ("RSA-PSS", "DSA", *CURVES)
UUID: Final = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
LARGEST: Final = 1 << 16  # bytes of a certificate
# Bits of RSA and DSA keys: NIST SP 800-131A disallows shorter ones.
SHORTEST_KEY: Final = 2048


Key = rsa.RSAPublicKey | dsa.DSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class Signature:
    """The expected signature of data, its hash method, and the public key to verify it with."""

    value: bytes
    method: hashes.HashAlgorithm
    key: Key

    @property
    def algorithm(self) -> str:
        """The name of the digest that ``check`` takes, as hashlib spells it, such as ``sha256``."""
        return self.method.name

    def check(self, hexdigest: str) -> None:
        """Raise Invalid unless this is the signature of data with the given digest."""
        try:
            self._verify(bytes.fromhex(hexdigest), utils.Prehashed(self.method))
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            raise Invalid(
                "Signature verification failed: the data is not the data that was signed, or "
                "it was signed with another key. Compare it with the original."
            ) from None

    def _verify(self, digest: bytes, digested: utils.Prehashed) -> None:
        if isinstance(self.key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(self.method), padding.PSS.AUTO)
            self.key.verify(self.value, digest, pss, digested)
        elif isinstance(self.key, dsa.DSAPublicKey):
            self.key.verify(self.value, digest, digested)
        else:
            self.key.verify(self.value, digest, ec.ECDSA(digested))


def described(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the properties of an image that describe its signature, without all others."""
    return {name: properties[name] for name in PROPERTIES if name in properties}


def of(properties: Mapping[str, str]) -> Signature | None:
    """Return the signature that an image's properties describe; None if they describe none.

    Raises Invalid when the signature cannot be verified, also when only some of its properties
    are set, so that signed data is never accepted without verification.
    """
    missing = [name for name in PROPERTIES if name not in properties]
    if len(missing) == len(PROPERTIES):
        return None
    if missing:
        raise _unusable(f"the image lacks {', '.join(missing)}")
    method = METHODS.get(properties[METHOD])
    if method is None:
        raise _unusable(f"{METHOD} must be one of {', '.join(METHODS)}")
    if properties[KIND] not in KINDS:
        raise _unusable(f"{KIND} must be one of {', '.join(KINDS)}")
    try:
        value = b64decode(properties[VALUE], validate=True)
    except (NotBase64, ValueError):
        raise _unusable(f"{VALUE} must be base64") from None
    return Signature(value, method, _key(_certificate(properties), properties[KIND]))


def _certificate(properties: Mapping[str, str]) -> Certificate:
    name = properties[CERTIFICATE]
    if not UUID.fullmatch(name):
        raise _unusable(f"{CERTIFICATE} must be a UUID")
    if not settings.IMAGECATALOG_SIGNATURE_CERTIFICATES:
        raise _unusable(
            "this service has no certificates "
            "(the operator sets IMAGECATALOG_SIGNATURE_CERTIFICATES)"
        )
    path = Path(settings.IMAGECATALOG_SIGNATURE_CERTIFICATES, f"{name.lower()}.pem")
    try:
        with path.open("rb") as file:
            certificate = load_pem_x509_certificate(file.read(LARGEST))
    except (OSError, ValueError, InvalidVersion) as error:
        log.warning("The certificate %s cannot be read: %s", path, error)
        raise _unusable(f"this service has no certificate {name}") from None
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= timezone.now() <= end:
        raise _unusable(f"certificate {name} has expired or is not valid yet")
    return certificate


def _key(certificate: Certificate, kind: str) -> Key:
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        raise _unusable("the key of the certificate cannot be read") from None
    if (
        isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey)
        and key.key_size < SHORTEST_KEY
    ):
        raise _unusable(
            f"the key of the certificate has {key.key_size} bits, and it needs at least"
            f" {SHORTEST_KEY} bits"
        )
    if kind == "RSA-PSS" and isinstance(key, rsa.RSAPublicKey):
        return key
    if kind == "DSA" and isinstance(key, dsa.DSAPublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == CURVES.get(
        kind
    ):
        return key
    raise _unusable(f"the key of the certificate is not of type {kind}")


def _unusable(why: str) -> Invalid:
    return Invalid(
        f"The signature of the image cannot be verified: {why}. Correct this, or remove the "
        "properties img_signature*."
    )
