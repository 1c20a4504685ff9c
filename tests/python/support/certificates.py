"""An authority of our own, with certificates for 127.0.0.1."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Signs certificates; ``bundle`` is the file of its own."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.bundle = folder / f"{name.replace(' ', '-')}.pem"
        self.bundle.write_bytes(self._sign(self.name, self.key, authority=True))

    def issue(
        self, name: str, address: str | None = "127.0.0.1", *, expired: bool = False, names: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """The files of a certificate for this address and these names, and of its key; for none, it has no SAN."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate, private = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(self._sign(subject, key, address=address, expired=expired, names=names))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, private

    def server(self, name: str = "server", *, clients: bool = False, **options: object) -> ssl.SSLContext:
        """A server's side of TLS; ``clients``: only for those who have a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, **options))  # type: ignore[arg-type]
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.bundle)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool = False,
        address: str | None = "127.0.0.1",
        expired: bool = False,
        names: Sequence[str] = (),
    ) -> bytes:
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * day)
            .not_valid_after(now - day if expired else now + day)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        if address is not None:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(address)))
        if alternatives and not authority:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        if authority:
            # From Python 3.13 on an authority that does not say so is none.
            signs = dict.fromkeys(("key_cert_sign", "crl_sign"), True)
            others = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
            usage = {**dict.fromkeys((*others, "key_agreement", "encipher_only", "decipher_only"), False), **signs}
            builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
        signed = builder.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)
