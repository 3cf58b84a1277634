"""CMS signatures for iPXE's imgverify: RSA over SHA-256, detached, without attributes.

That is all that iPXE reads, in every version that has the command.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from builds.signing.files import private
from builds.signing.sshsig import BadSignature

_BITS = 2048  # iPXE has RSA in every version; ECDSA only newer ones
# iPXE builds that trust it are made once and stay in ROMs; the release keys change every year.
CA_LASTS = timedelta(days=20 * 365)
_OPTIONS = (
    pkcs7.PKCS7Options.DetachedSignature,
    pkcs7.PKCS7Options.Binary,
    pkcs7.PKCS7Options.NoAttributes,
)


def make_ca(folder: Path, *, at: datetime) -> None:
    """Write `ca.key`, readable by its owner only, and `ca.pem`, what `TRUST=` takes."""
    key, name = _new_key(), _name("NixOS images boot CA")
    made = _begun(name, name, key.public_key(), at, CA_LASTS)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = made.add_extension(_usage(is_ca=True), critical=True)
    _write(folder / "ca.key", key)
    (folder / "ca.pem").write_bytes(_pem(made.sign(key, hashes.SHA256())))


def make_key(folder: Path, ca: Path, name: str, *, since: datetime, until: datetime) -> None:
    """Write `cms`, a key for code signing, and `cms.pem`: its certificate, and that of the CA."""
    key = _new_key()
    issuer = x509.load_pem_x509_certificate((ca / "ca.pem").read_bytes())
    made = _begun(_name(name), issuer.subject, key.public_key(), since, until - since)
    code = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    made = made.add_extension(_usage(is_ca=False), critical=True).add_extension(code, critical=True)
    _write(folder / "cms", key)
    certificate = made.sign(_read(ca / "ca.key"), hashes.SHA256())
    (folder / "cms.pem").write_bytes(_pem(certificate) + _pem(issuer))


def sign(sha256: str, folder: Path) -> bytes:
    """The signature, as DER, of the bytes that have this digest; same digest, same bytes.

    cryptography wants the bytes themselves, which may be many and lie elsewhere. Without attributes
    the signature proper is over their digest alone, has a fixed length, and stands last: so it is
    put in place of that of an empty text. Raises OSError where key or certificates can't be used.
    """
    key = _read(folder / "cms")
    certificate, issuer = _read_certificates(folder / "cms.pem")
    empty = pkcs7.PKCS7SignatureBuilder().set_data(b"")
    # iPXE knows of its roots only the fingerprints, so the whole one has to come along.
    empty = empty.add_signer(certificate, key, hashes.SHA256()).add_certificate(issuer)
    form = empty.sign(serialization.Encoding.DER, list(_OPTIONS))
    of_nothing = key.sign(b"", padding.PKCS1v15(), hashes.SHA256())
    if not form.endswith(of_nothing):
        raise OSError("cryptography writes signatures in another form than this code knows")
    digest = bytes.fromhex(sha256)
    return form[: -len(of_nothing)] + key.sign(
        digest, padding.PKCS1v15(), Prehashed(hashes.SHA256())
    )


def check(signature: bytes, sha256: str, ca: bytes) -> None:
    """Raise BadSignature where no certificate of this CA signed what has this digest."""
    root = x509.load_pem_x509_certificate(ca)
    try:
        (certificate,) = set(pkcs7.load_der_pkcs7_certificates(signature)) - {root}
        certificate.verify_directly_issued_by(root)
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey), "make_key makes no others"
        last = signature[-key.key_size // 8 :]
        key.verify(last, bytes.fromhex(sha256), padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    except (ValueError, TypeError, InvalidSignature) as error:
        raise BadSignature(f"the signature for iPXE does not verify: {error!r}") from None


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_BITS)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, at: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    found = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    found = found.serial_number(x509.random_serial_number())
    return found.not_valid_before(at).not_valid_after(at + lasts)


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, key: rsa.RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _read(path: Path) -> rsa.RSAPrivateKey:
    data = private(path).read_bytes()
    try:
        key = serialization.load_pem_private_key(data, None, unsafe_skip_rsa_key_validation=True)
    except ValueError:
        raise OSError(f"{path} holds no RSA key") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise OSError(f"{path} holds no RSA key")
    return key


def _read_certificates(path: Path) -> tuple[x509.Certificate, x509.Certificate]:
    """The key's and the CA's."""
    try:
        certificate, issuer = x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        wrong = "holds not the key's certificate and its CA's: keys rotate"
        raise OSError(f"{path} {wrong}") from None
    return certificate, issuer


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
