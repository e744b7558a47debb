"""Connections to PostgreSQL: deadlines, errors in one line that say what to do, and no password in any of them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pytest_execo.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

__all__ = ("Interrupted", "connect", "explained", "without_password")

# Seconds: for a connection; for a statement, and for a lock that another run holds.
_CONNECT_TIMEOUT = 10
_STATEMENT_TIMEOUT = 60

# A URL is taken apart by what is in any spelling of it, right or wrong, so that nothing of a password gets through:
# its characters may be "/", "#" or "@", where they should be escaped.
_PASSWORD = re.compile(r"(://[^:/@]*):(.*)@", re.DOTALL)
_PARAMETER = re.compile(r"((?:ssl)?password=)([^&]*)")

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_INTERRUPTED = ("08", "40", "57P01", "57P02", "57P03")
_ADVICE = {
    "25006": "it is a standby; give the address of the primary server",
    "42501": "all who share a campaign need one user, and it the right to make a schema: GRANT CREATE ON DATABASE",
    "55P03": "another run holds the lock for longer than {timeout} s; is there one that hangs?",
    "57014": "no answer within {timeout} s; is the server overloaded?",
}
_CONNECT_ADVICE = (
    ("password", "is it the right one? It is read from the URL, PGPASSWORD or ~/.pgpass"),
    ("does not exist", "createdb and createuser make databases and users"),
    ("permission denied", "its owner can allow it: GRANT CONNECT ON DATABASE"),
    ("pg_hba.conf", "the server does not let this machine or user in"),
    ("too many", "wait, or raise max_connections"),
    ("", "is the server up, and the address right?"),
)


class Interrupted(CheckpointError):
    """The connection was lost, or the server gave up a transaction in favour of another: to do again."""


def connect(url: str) -> psycopg.Connection[Any]:
    """Open a connection in autocommit mode.

    :raises CheckpointError: in one line: no such server, not let in, psycopg is missing.
    """
    try:
        import psycopg
    except ImportError as error:
        raise CheckpointError(
            f"{without_password(url)}: psycopg is missing: pip install 'pytest-execo[postgres]'"
        ) from error
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its message may hold a piece of the password
        raise CheckpointError(
            f"{without_password(url)}: not a URL that PostgreSQL knows; write postgresql://user@host:port/database, "
            "and special characters as %40"
        ) from None
    asked: dict[str, Any] = {
        "application_name": "pytest-execo",
        "connect_timeout": _CONNECT_TIMEOUT,
        # A server that is cut off is noticed, and not waited for until the kernel gives up after hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    defaults = {name: value for name, value in asked.items() if name not in given}
    try:
        # Without prepared statements: a connection pooler between us and the server need not keep them.
        connection = psycopg.connect(url, autocommit=True, prepare_threshold=None, **defaults)
    except psycopg.Error as error:
        reason = _reason(error, url)
        advice = next(text for words, text in _CONNECT_ADVICE if words in reason)
        raise CheckpointError(f"{without_password(url)}: {reason}; {advice}") from None
    milliseconds = str(round(_STATEMENT_TIMEOUT * 1000))
    with explained(url):
        connection.execute(
            "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
            (milliseconds, milliseconds),
        )
    return connection


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn an error of the database into one of the checkpoint, in one line without the password.

    :raises Interrupted: what was begun has come to nothing, or nobody knows; it may be done again.
    """
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        code = error.sqlstate or ""
        advice = _ADVICE.get(code, "").format(timeout=_STATEMENT_TIMEOUT)
        message = "; ".join(filter(None, (f"{without_password(url)}: {_reason(error, url)}", advice)))
        lost = isinstance(error, psycopg.OperationalError) and not code
        kind = Interrupted if lost or code.startswith(_INTERRUPTED) else CheckpointError
        raise kind(message) from None


def without_password(url: str) -> str:
    """Return the URL as it may be shown."""
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1@", url))


def _reason(error: psycopg.Error, url: str) -> str:
    """The one line that matters. Of several addresses that were tried it is the last one's."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    several = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    reason = (several or lines[:1] or [type(error).__name__])[-1]
    secrets = [match[2] for pattern in (_PASSWORD, _PARAMETER) for match in pattern.finditer(url)]
    for secret in filter(None, secrets):
        reason = reason.replace(secret, "***").replace(unquote(secret), "***")
    return reason
