"""A PostgreSQL server of the tests' own: started when the first test asks for it, ended with the session.

Use: ``from tests.integration.postgres import postgres, postgres_server`` in a ``conftest.py``. A test that asks for
``postgres`` gets the URL of an empty database.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

__all__ = ("PASSWORD", "PostgresServer", "postgres", "postgres_server")

#: With all that has to be escaped in a URL.
PASSWORD = "s3cret/p@ss:w#rd%20é"

_SETTINGS = {
    # What is lost in a power cut of the tests' machine does not matter.
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "jit": "off",
}
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_NUMBERS = itertools.count(1)


class PostgresServer:
    """A server on 127.0.0.1 that lets in with a password only."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        # Not below pytest's directory, which nobody else may enter: the server refuses to be root.
        self._directory = Path(tempfile.mkdtemp(prefix="pytest-execo-postgres-"))
        self._user = _ordinary_user()
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        try:
            self._make()
            self.start()
        except BaseException:
            self.remove()
            raise

    def _make(self) -> None:
        password = self._directory / "password"
        password.write_text(PASSWORD, encoding="utf-8")
        if self._user is not None:
            for path in (self._directory, password):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        initdb = [
            self._programs / "initdb",
            *("-D", self._data, "-U", "owner", "-A", "scram-sha-256", f"--pwfile={password}"),
            *("-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions"),
        ]
        done = subprocess.run(initdb, capture_output=True, text=True, cwd="/", timeout=60, **self._as_user())
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _as_user(self) -> dict[str, Any]:
        environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
        if self._user is None:
            return {"env": environment}
        return {"env": environment, "user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def url(self, database: str = "postgres", *, user: str = "owner", password: str = PASSWORD) -> str:
        """Return what connects to a database."""
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and return when it answers."""
        import psycopg

        settings = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self._directory)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options],
                **self._as_user(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.02)

    def stop(self, *, crash: bool = False) -> None:
        """End it: without waiting for anybody, or as a crash does, which is recovered from at the next start."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
            process.wait(30)

    def remove(self) -> None:
        """End it and remove its files."""
        self.stop(crash=True)
        shutil.rmtree(self._directory, ignore_errors=True)

    def log(self) -> str:
        """Return what the server said."""
        return (self._directory / "log").read_text(errors="replace")

    def execute(self, sql: str, *, database: str = "postgres") -> None:
        """Run a statement as the owner of all."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql)


def _ordinary_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _die_with_parent() -> None:
    # A killed test run leaves no server behind.
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGQUIT)


def _programs() -> Path | None:
    """Where the programs of the newest server are; Debian has them outside of PATH."""
    homes = [Path(path).parent for path in (shutil.which("initdb"),) if path]
    homes += Path("/usr/lib/postgresql").glob("*/bin")
    whole = [home for home in homes if (home / "initdb").exists() and (home / "postgres").exists()]
    return max(whole, key=lambda home: [int(number) for number in re.findall(r"\d+", str(home))], default=None)


def _missing() -> str | None:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed (pip install 'pytest-execo[postgres]')"
    return None if _programs() else "PostgreSQL is not installed (apt-get install postgresql)"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for the whole session. A test that stops it starts it again."""
    if (missing := _missing()) is not None:
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    programs = _programs()
    assert programs is not None
    server = PostgresServer(programs)
    yield server
    server.remove()


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database, for one test."""
    name = f"test{next(_NUMBERS)}"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
