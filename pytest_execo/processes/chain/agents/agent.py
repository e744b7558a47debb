"""One link of a chain in Python, 3.6 or newer: takes the stream in, or passes it on.

Comes on the standard input of ``python3 -``, followed by a call of :func:`main` with the secret. Descriptor 8 is the
file that is received; 9 is the same file, opened again to read what is there already.
"""

import hashlib
import hmac
import os
import signal
import socket
import sys
import time

# Bytes per read: less than a processor's cache, so that the digest finds them there.
BLOCK = 1 << 19


def say(*words: object) -> None:
    """Tell the controller; one line is one write."""
    os.write(1, ("@" + " ".join(map(str, words)) + "\n").encode("utf-8", "replace"))


def proof(secret: str, role: str, link: str, caller: str, listener: str) -> str:
    """Return what only who knows the secret can say, of these two nonces and in this role."""
    text = f"{role} execo-chain 1 {link} {caller} {listener}"
    return hmac.new(bytes.fromhex(secret), text.encode(), hashlib.sha256).hexdigest()


def read_line(connection: socket.socket) -> str:
    """Read up to a newline and not a byte more: what follows is data."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte or len(line) > 200:
            raise ConnectionError("the other side ended the handshake")
        line += byte
    return line[:-1].decode("ascii", "replace")


def write_line(connection: socket.socket, *words: object) -> None:
    """Send a line."""
    connection.sendall((" ".join(map(str, words)) + "\n").encode())


def reason(error: Exception) -> str:
    """Return what went wrong in a few words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def listen(address: str) -> socket.socket:
    """Listen on a free port of ``address``, or of all addresses where it is none of ours (NAT)."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.bind(place)
    except OSError:
        listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        listener.bind(("", 0))
    listener.listen(8)
    return listener


def answer(connection: socket.socket, secret: str, link: str, nonce: str) -> None:
    """Shake hands as the one who listens; raises :exc:`OSError` or :exc:`ValueError` for a stranger."""
    hello, version, number, theirs = read_line(connection).split()
    if (hello, version, number) != ("execo-chain", "1", link):
        raise ValueError
    write_line(connection, nonce, proof(secret, "listen", link, theirs, nonce))
    if not hmac.compare_digest(read_line(connection), proof(secret, "connect", link, theirs, nonce)):
        raise ValueError


def call(connection: socket.socket, secret: str, link: str, nonce: str) -> int:
    """Shake hands as the one who connects; return how many bytes the other side has."""
    write_line(connection, "execo-chain", 1, link, nonce)
    theirs, shown = read_line(connection).split()
    if not hmac.compare_digest(shown, proof(secret, "listen", link, nonce, theirs)):
        raise ConnectionError("it does not know the secret")
    write_line(connection, proof(secret, "connect", link, nonce, theirs))
    return int(read_line(connection))


def receive(
    secret: str, link: str, nonce: str, deadline: str, total: str, address: str, agent: str, program: str
) -> None:
    """Take the stream in, from who knows the secret, and say what came."""
    listener = listen(address)
    say("listening", link, listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        # Half: a silent stranger must not use up the time of the one who is waited for.
        connection.settimeout(float(deadline) / 2)
        try:
            answer(connection, secret, link, nonce)
            here = start = os.fstat(8).st_size
            write_line(connection, here)
        except (OSError, ValueError):
            connection.close()
        else:
            break
    listener.close()
    connection.settimeout(None)
    say("linked", link)
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(BLOCK))
    while here < int(total):
        try:
            count = connection.recv_into(buffer, min(BLOCK, int(total) - here))
        except OSError as error:
            say("lost", link, reason(error))
            return
        if not count:
            say("lost", link, "the connection ended")
            return
        try:
            written = 0
            while written < count:
                written += os.pwrite(8, buffer[written:count], here + written)
        except OSError as error:
            say("error", reason(error))
            os.kill(int(agent), signal.SIGTERM)
            return
        if start == 0:
            digest.update(buffer[:count])
        here += count
    connection.close()
    if start != 0:
        with open(8, "rb", closefd=False) as file:
            file.seek(0)
            for block in iter(lambda: file.read(BLOCK), b""):
                digest.update(block)
    say("whole", "sha256sum", digest.hexdigest())


def forward(secret: str, link: str, nonce: str, deadline: str, total: str, address: str, port: str) -> None:
    """Pass the stream on: what is there, and what comes, until it is whole."""
    pause = 0.001
    try:
        with socket.create_connection((address, int(port)), float(deadline)) as connection, open(9, "rb") as file:
            sent = call(connection, secret, link, nonce)
            connection.settimeout(None)
            while sent < int(total):
                here = os.fstat(9).st_size
                if sent < here:
                    sent += connection.sendfile(file, sent, here - sent)
                    pause = 0.001
                else:
                    time.sleep(pause)
                    pause = min(2 * pause, 0.02)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
    except (OSError, ValueError) as error:
        say("broken", link, reason(error))


def main(secret: str) -> None:
    """Do what the arguments say."""
    if sys.argv[1] == "receive":
        receive(secret, *sys.argv[2:])
    else:
        forward(secret, *sys.argv[2:])
