"""Questions of pytest-xdist's workers to their controller: one line for each worker, answered in a thread each.

The controller listens on a socket in a directory of its own, and answers those who know the run's key. A worker that
never asks, because no test of the run uses execo, costs neither of them anything but the socket.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ("Broker", "Line")


class Broker:
    """Listens from its making to :meth:`close`.

    :param answer: called as ``answer(worker, question, arguments)``; what it returns, or the error it raises, goes to
        the worker. Called by several threads.
    """

    def __init__(self, answer: Callable[[str, str, tuple[Any, ...]], object]) -> None:
        self._answer = answer
        self._directory = tempfile.mkdtemp(prefix="execo-")  # for this user alone
        self._key = secrets.token_bytes(32)
        self.address: str = os.path.join(self._directory, "broker")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.address)
        self._socket.listen(128)
        self._lines: set[socket.socket] = set()
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._listen, name="pytest-execo broker", daemon=True)
        self._thread.start()

    def invitation(self, worker: str) -> dict[str, Any]:
        """Return what a worker needs to call, of types that travel."""
        return {"address": self.address, "key": self._key, "worker": worker}

    def wait(self, worker: str, timeout: float) -> None:
        """Wait until all that a worker, which has gone, had said is answered.

        :param timeout: seconds, when it turns out that it has not gone.
        """
        thread = self._threads.get(worker)
        if thread is not None:
            thread.join(timeout)

    def close(self) -> None:
        """Stop answering, and end the lines. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            lines = list(self._lines)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._socket.close()
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _listen(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                if self._closed:
                    line.close()
                    return
                self._lines.add(line)
            threading.Thread(target=self._serve, args=(line,), name="pytest-execo line", daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        try:
            connection = _connection(line, self._key, server=True)
            worker: str = connection.recv()
            self._threads[worker] = threading.current_thread()
            while True:
                question, arguments = connection.recv()
                try:
                    answer: tuple[str, object] = ("answer", self._answer(worker, question, arguments))
                except Exception as error:
                    answer = ("error", error)
                _send(connection, answer)
        except (EOFError, OSError):
            pass  # the worker is done, or gone
        except Exception:  # not one of ours: a wrong key
            pass
        finally:
            with self._lock:
                self._lines.discard(line)
            line.close()


class Line:
    """A worker's line to the controller, open from the first question to the end of the process."""

    def __init__(self, invitation: Mapping[str, Any]) -> None:
        self._invitation = invitation
        self._lock = threading.Lock()
        self._connection: Connection[Any, Any] | None = None

    def ask(self, question: str, *arguments: object) -> Any:
        """Ask, and return the answer, or raise the error that was the answer.

        There is no deadline: a reservation may take hours. When the controller dies the line breaks.

        :raises EOFError: the controller has gone.
        """
        with self._lock:
            if self._connection is None:
                line = socket.socket(socket.AF_UNIX)
                line.connect(self._invitation["address"])
                self._connection = _connection(line, self._invitation["key"], server=False)
                self._connection.send(self._invitation["worker"])
            try:
                self._connection.send((question, arguments))
                kind, answer = self._connection.recv()
            except BaseException:
                # Interrupted, by a time-out of the test for instance: the answer would be taken for that to the next
                # question.
                self._connection.close()
                self._connection = None
                raise
        if kind == "error":
            raise answer
        return answer


def _connection(line: socket.socket, key: bytes, *, server: bool) -> Connection[Any, Any]:
    from multiprocessing import connection

    ours = connection.Connection(os.dup(line.fileno()) if server else line.detach())
    challenges = (connection.deliver_challenge, connection.answer_challenge)
    for challenge in challenges if server else reversed(challenges):
        challenge(ours, key)
    return ours


def _send(connection: Connection[Any, Any], answer: tuple[str, object]) -> None:
    try:
        connection.send(answer)
    except (OSError, BrokenPipeError):
        raise
    except Exception as error:  # what can't be pickled can still be told
        connection.send(("error", RuntimeError(f"{type(answer[1]).__name__}: {answer[1]} ({error})")))
