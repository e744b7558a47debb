"""Stands between a client and its server, and cuts the connection at a word, before or after the server has acted."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

__all__ = ("CuttingProxy",)


class CuttingProxy:
    """Listens on :attr:`port` of 127.0.0.1 and passes all on to a port of the server."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        #: How many connections were cut.
        self.cuts = 0
        self._word: bytes | None = None
        self._forward = False
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut_at(self, word: bytes, *, forward: bool) -> None:
        """Cut the connection on which the client says ``word`` next.

        :param forward: let the server hear it and answer, and keep the answer.
        """
        self._word, self._forward = word, forward

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._server_port), 30)
                self._sockets += [client, server]
                thread = threading.Thread(target=self._pass_on, args=(client, server))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, contextlib.suppress(OSError):
            while True:
                for source in select.select([client, server], [], [], 60)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is client and self._word is not None and self._word in data:
                        self._word = None
                        self.cuts += 1
                        if self._forward:
                            server.sendall(data)
                            server.recv(65536)
                        return
                    (server if source is client else client).sendall(data)

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *exc: object) -> None:
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # which their threads see, and close them
        for thread in self._threads:
            thread.join(10)
        self._listener.close()
