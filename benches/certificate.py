"""An authority and a server's certificate, made for one run, in kind and size as at AWS's endpoints."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import botocore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """The files of a server that speaks TLS, and of those who trust it.

    Args:
        certificate: Its certificate, for 127.0.0.1.
        key: The key of that.
        bundle: The authorities that botocore brings along and this one: a client reads as much as it does at AWS.
    """

    certificate: Path
    key: Path
    bundle: Path


def make(folder: Path) -> Certificate:
    """Makes them: keys of 2,048 bits for RSA, as SQS's endpoints have.

    Args:
        folder: Where the files go.
    """
    authority_key, server_key = (rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(2))
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench Authority")])
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = Certificate(folder / "server.pem", folder / "server.key", folder / "authorities.pem")
    own = _sign(authority, authority_key, authority, authority_key, is_authority=True)
    known = (Path(botocore.__file__).parent / "cacert.pem").read_bytes()
    made.bundle.write_bytes(known + b"\n" + own)
    made.certificate.write_bytes(_sign(server, server_key, authority, authority_key, is_authority=False))
    made.key.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made


def _sign(
    subject: x509.Name, key: rsa.RSAPrivateKey, issuer: x509.Name, issuer_key: rsa.RSAPrivateKey, *, is_authority: bool
) -> bytes:
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
