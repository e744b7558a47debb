from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pytest_execo.errors import ApiError
from pytest_execo.testbeds.grid5000.client import Credentials
from pytest_execo.testbeds.grid5000.client.http import Http


def certificate(directory: Path, name: str, issuer: Any = None) -> tuple[Any, Any]:
    """Write NAME.pem and NAME.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=subject if issuer is None else issuer[0].subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - dt.timedelta(days=1),
        not_valid_after=now + dt.timedelta(days=1),
    ).add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    if issuer is not None:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        keys = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key())
        builder = builder.add_extension(keys, critical=False)
    made = builder.sign(key if issuer is None else issuer[1], hashes.SHA256())
    (directory / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made, key


class Handler(http.server.BaseHTTPRequestHandler):
    asked: list[dict[str, str]]

    def do_GET(self) -> None:
        self.asked.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    authority = certificate(directory, "authority")
    certificate(directory, "server", authority)
    certificate(directory, "jdoe", authority)
    return directory


@pytest.fixture
def serve(keys: Path) -> Iterator[Callable[..., tuple[str, list[dict[str, str]]]]]:
    running: list[tuple[Quiet, threading.Thread]] = []

    def start(*, ask_certificate: bool = False) -> tuple[str, list[dict[str, str]]]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(keys / "server.pem", keys / "server.key")
        if ask_certificate:
            context.load_verify_locations(keys / "authority.pem")
            context.verify_mode = ssl.CERT_REQUIRED
        handler = type("OneHandler", (Handler,), {"asked": []})
        server = Quiet(("127.0.0.1", 0), handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        running.append((server, thread))
        return f"https://127.0.0.1:{server.server_address[1]}", handler.asked

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(serve: Any, slept: list[float]) -> None:
    uri, asked = serve()
    http = Http(uri, Credentials("jdoe", "hunter2"), sleep=slept.append)
    with pytest.raises(ApiError, match=r"^the server's TLS certificate can't be verified \("):
        http.json("GET", "x")
    assert not slept
    assert not asked
    http.close()


def test_own_authorities_vouch(serve: Any, keys: Path) -> None:
    uri, asked = serve()
    http = Http(uri, Credentials("jdoe", "hunter2", ca_bundle=str(keys / "authority.pem")))
    assert http.json("GET", "x") == {}
    assert asked[0]["authorization"].startswith("Basic ")
    http.close()


def test_a_client_certificate_goes_with_the_user(serve: Any, keys: Path) -> None:
    uri, asked = serve(ask_certificate=True)
    bundle = str(keys / "authority.pem")
    who = Credentials("jdoe", sslcert=str(keys / "jdoe.pem"), sslkey=str(keys / "jdoe.key"), ca_bundle=bundle)
    http = Http(uri, who)
    assert http.json("GET", "x") == {}
    assert asked[0]["x-api-user-cn"] == asked[0]["x-remote-ident"] == "jdoe"
    assert "authorization" not in asked[0]
    http.close()


def test_without_it_there_is_one_line(serve: Any, keys: Path, slept: list[float]) -> None:
    uri, asked = serve(ask_certificate=True)
    http = Http(uri, Credentials("jdoe", "hunter2", ca_bundle=str(keys / "authority.pem")), sleep=slept.append)
    with pytest.raises(ApiError, match=r"TLS|broke") as caught:
        http.json("POST", "x")
    assert caught.value.status is None
    assert not asked
    http.close()


def test_a_file_that_has_gone_since_is_named(serve: Any, slept: list[float]) -> None:
    uri, _ = serve()
    http = Http(uri, Credentials("jdoe", "hunter2", ca_bundle="/nonexistent/ca.pem"), sleep=slept.append)
    with pytest.raises(ApiError, match=r"^the request can't be made: .*/nonexistent/ca\.pem"):
        http.json("GET", "x")
    assert not slept
    http.close()
