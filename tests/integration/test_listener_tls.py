"""The listener behind TLS: who is let in, and that nobody can hold up the others."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from pynetdicom import AE

from radiolucent.errors import ListenerFailed
from radiolucent.ingest.listener import Listener, Terms, tls_context
from radiolucent.ingest.spool import Spool
from tests.integration.senders import OURS, run_tool, tool
from tests.unit.ingest.receivers import FolderReceiver, small_object, write_object


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and keys of a server, a client and a stranger."""
    folder, openssl = tmp_path_factory.mktemp("tls"), tool("openssl")

    def make(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    for name in ("ca", "stranger"):
        make("req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    for name in ("server", "client"):
        make("req", *curve[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        make("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    return folder


@pytest.mark.parametrize(("client", "accepted"), [("client", True), ("stranger", False)])
def test_only_clients_with_a_certificate_are_let_in(
    tmp_path: Path, certificates: Path, client: str, accepted: bool
) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    context = tls_context(
        certificates / "server.pem", certificates / "server.key", client_authorities=certificates / "ca.pem"
    )
    path = write_object(tmp_path / "a.dcm", small_object(1))
    spool = Spool(tmp_path / "spool")
    with Listener(receiver, spool, terms=Terms(ae_title=OURS), tls=context) as listener:
        keys = [str(certificates / f"{client}.key"), str(certificates / f"{client}.pem")]
        done = run_tool("storescu", listener, "+tls", *keys, "+cf", str(certificates / "ca.pem"), "-R", str(path))
        assert (done.returncode == 0) == accepted, done.stderr
        plain = run_tool("storescu", listener, "-R", str(path))
        assert plain.returncode != 0
    assert len(receiver.received) == int(accepted)


def test_a_client_that_never_shakes_hands_keeps_nobody_waiting(tmp_path: Path, certificates: Path) -> None:

    context = tls_context(certificates / "server.pem", certificates / "server.key")
    terms = Terms(ae_title=OURS, associate_timeout_s=1.0)
    trusting = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    trusting.check_hostname = False
    server = Listener(FolderReceiver(tmp_path / "kept"), Spool(tmp_path / "spool"), terms=terms, tls=context)
    with server as listener, socket.create_connection(listener.address) as silent:
        begun = time.monotonic()
        ours = AE(ae_title="PEER")
        ours.add_requested_context("1.2.840.10008.1.1")
        association = ours.associate(*listener.address, ae_title=OURS, tls_args=(trusting, "server"))
        assert association.is_established
        assert time.monotonic() - begun < 1
        association.release()
        silent.settimeout(5)
        assert silent.recv(10) == b""


def test_tls_files_that_are_wrong_are_a_clear_error(tmp_path: Path, certificates: Path) -> None:
    with pytest.raises(ListenerFailed, match="check the files"):
        tls_context(certificates / "server.pem", certificates / "client.key")
    with pytest.raises(ListenerFailed, match="check the files"):
        tls_context(tmp_path / "absent", certificates / "client.key")
