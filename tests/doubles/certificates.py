"""Certificates that nobody has signed but their owner."""

import ssl
import subprocess


def self_signed(folder, name):
    """Make ``cert.pem`` and ``key.pem`` for ``name``, such as ``DNS:example.org``."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"),
            *("-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={name}"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


def server_tls(folder):
    """Return the TLS settings of a server that shows the certificate of ``folder``."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return tls
