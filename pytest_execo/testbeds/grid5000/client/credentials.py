"""Who we are for the API: the file of python-grid5000, and two environment variables.

Nothing here puts what the file says into an error: neither its message nor the variables of the frame that raises it
have it. For the same reason a value that is wrong is never quoted.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ....errors import CredentialsError
from ....nearest import nearest

__all__ = ("PASSWORD_VARIABLE", "USER_VARIABLE", "Credentials", "read_credentials")

USER_VARIABLE: str = "EXECO_G5K_USER"
PASSWORD_VARIABLE: str = "EXECO_G5K_PASSWORD"

_DEFAULT_FILE = "~/.python-grid5000.yaml"
_KEYS = ("username", "password", "uri", "sslcert", "sslkey", "ssluser", "verify_ssl")
_RIGHT = "write username and password, or uri, sslcert, sslkey and ssluser"
_LARGEST = 65536
# It goes into headers, where a colon ends it.
_USER = re.compile(r"[!-9;-~]+")
_log = logging.getLogger("pytest_execo.testbeds.grid5000")


@dataclass(frozen=True)
class Credentials:
    """Who we are: nobody (inside Grid'5000, which knows by itself), a user and password, or a client certificate.

    :param user: the Grid'5000 login. Alone it is a name to look for jobs with; nothing is sent.
    :param password: sent with the login on each request (HTTP Basic).
    :param sslcert: path of a client certificate; the login goes with it into ``X-Api-User-CN``.
    :param sslkey: path of its key; ``None``: the key is in the certificate's file.
    :param uri: the API that the file names.
    :param ca_bundle: path of the certificates that the API's is checked with; ``None``: the usual ones.
    :raises CredentialsError: when a password, or certificate, comes without a user, or a key without certificate.
    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sslcert: str | None = None
    sslkey: str | None = None
    uri: str | None = None
    ca_bundle: str | None = None

    def __post_init__(self) -> None:
        if self.user is not None and not _USER.fullmatch(self.user):
            raise CredentialsError("the user is not a Grid'5000 login; write it without spaces and colons")
        if self.user is None and (self.password is not None or self.sslcert is not None):
            raise CredentialsError("a password or certificate without a user; give the Grid'5000 login too")
        if self.sslkey is not None and self.sslcert is None:
            raise CredentialsError("a key without certificate; give sslcert too")

    @property
    def are_sent(self) -> bool:
        """Whether requests carry something that must not be read by others."""
        return self.password is not None or self.sslcert is not None


def read_credentials(path: Path | None = None) -> Credentials:
    """Read who we are from the environment and the file of python-grid5000.

    ``EXECO_G5K_USER`` and ``EXECO_G5K_PASSWORD`` win over the file. Without file and variables we are nobody, which
    is right inside Grid'5000. A file that can be read by others is warned of in the log.

    :param path: the file; ``None``: ``~/.python-grid5000.yaml``. One that is given has to exist.
    :raises CredentialsError: when the file can't be used; one line says what would be right.
    """
    where = Path(os.path.expanduser(_DEFAULT_FILE)) if path is None else path
    found = _read(where, must_exist=path is not None, environment=os.environ)
    if isinstance(found, str):
        raise CredentialsError(found)
    return found


def _read(path: Path, *, must_exist: bool, environment: Mapping[str, str]) -> Credentials | str:
    """Return the credentials, or what is wrong."""
    said = _read_file(path, must_exist=must_exist)
    if isinstance(said, str):
        return f"{path}: {said}"
    user, password = environment.get(USER_VARIABLE) or None, environment.get(PASSWORD_VARIABLE) or None
    if user is not None and not _USER.fullmatch(user):
        return f"{USER_VARIABLE}: is not a Grid'5000 login; write it without spaces and colons"
    if password is not None and (user or said.get("user")) is None:
        return f"{PASSWORD_VARIABLE}: is set without a user; set {USER_VARIABLE} too"
    if user is not None and password is None and user != said.get("user") and said.keys() & {"password", "sslcert"}:
        return f"{USER_VARIABLE}: is another user than that of {path}; set {PASSWORD_VARIABLE} too"
    if password is not None:  # one way in, not two
        said = {key: value for key, value in said.items() if key not in ("sslcert", "sslkey")}
    if user is not None:
        said["user"] = user
    if password is not None:
        said["password"] = password
    return Credentials(**said)


def _read_file(path: Path, *, must_exist: bool) -> dict[str, str] | str:
    """Return what the file says, by the names of :class:`Credentials`, or what is wrong with it."""
    import yaml

    try:
        # Not to wait for a pipe that nobody writes to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                return f"is not a file; {_RIGHT} into one"
            content = os.read(descriptor, _LARGEST + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        return f"can't be read: {error.strerror}; {_RIGHT} into it" if must_exist else {}
    except OSError as error:
        return f"can't be read: {error.strerror}; make it readable for you alone, or remove it"
    if mode & 0o077:
        _log.warning("%s can be read by others; run: chmod 600 %s", path, path)
    if len(content) > _LARGEST:
        return f"is larger than {_LARGEST} bytes; {_RIGHT}"
    try:
        data = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # What the error says may quote the file.
        mark = getattr(error, "problem_mark", None)
        return f"is not YAML{'' if mark is None else f' (line {mark.line + 1})'}; {_RIGHT}, each as 'key: value'"
    return _check(data)


def _check(data: Any) -> dict[str, str] | str:
    if data is None:
        return f"is empty; {_RIGHT}, or remove it"
    if not isinstance(data, dict):
        return f"is not a mapping; {_RIGHT}, each as 'key: value'"
    for key in data:
        if key not in _KEYS:
            return f"has a key that is not known{nearest(str(key), _KEYS)}"
    verify = data.pop("verify_ssl", True)
    if verify is False:
        return (
            "verify_ssl: false is refused, for anybody between here and the API could read the password; "
            "write the path of its certificates, or remove the line"
        )
    if verify is not True:
        data["verify_ssl"] = verify
    for key, value in data.items():
        if not isinstance(value, str) or not value:
            return f"{key} is not a text; write it between quotes"
    return _choose(data)


def _choose(data: dict[str, str]) -> dict[str, str] | str:
    """Check that it is one of the two ways in, and give things their names here."""
    by_certificate = {"sslcert", "sslkey", "ssluser"} & data.keys()
    by_password = {"username", "password"} & data.keys()
    if by_certificate and by_password:
        return f"has both a password and a certificate; {_RIGHT}"
    if by_certificate and not {"sslcert", "ssluser"} <= data.keys():
        return f"has only {', '.join(sorted(by_certificate))}; write sslcert and ssluser (and sslkey) together"
    if "password" in data and "username" not in data:
        return "has a password without username; write both"
    said = {}
    for key, name in (("sslcert", "sslcert"), ("sslkey", "sslkey"), ("verify_ssl", "ca_bundle")):
        if key in data:
            said[name] = os.path.expanduser(data[key])
            if not os.access(said[name], os.R_OK):
                return f"{key} names a file that can't be read; write the path of one that can"
    for key, name in (("username", "user"), ("ssluser", "user"), ("password", "password"), ("uri", "uri")):
        if key in data:
            said[name] = data[key]
    if not _USER.fullmatch(said.get("user", "nobody")):
        return "the user is not a Grid'5000 login; write it without spaces and colons"
    return said
