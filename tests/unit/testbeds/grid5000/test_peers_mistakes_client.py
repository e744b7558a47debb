"""Mistakes of EnOSlib, python-grid5000 and execo with the API that are not made here.

What each of the peers does is told by the docstring of the test. Others of their mistakes are shown beside the code, in
``client/``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from pytest_execo.errors import ApiError, CredentialsError
from pytest_execo.testbeds.grid5000.answers import DeploymentOrder, Submission
from pytest_execo.testbeds.grid5000.client import Credentials, Grid5000Client
from pytest_execo.testbeds.grid5000.client.http import Http
from pytest_execo.testbeds.grid5000.testbed import Grid5000Testbed

VERBS: dict[str, Callable[[Grid5000Client], object]] = {
    "reference": lambda client: client.reference(),
    "status": lambda client: client.status("lyon"),
    "jobs": lambda client: list(client.jobs("lyon")),
    "submit": lambda client: client.submit("lyon", Submission("nodes=1")),
    "delete": lambda client: client.delete_job("lyon", 1),
    "walltime": lambda client: client.change_walltime("lyon", 1, 60.0),
    "deploy": lambda client: client.deploy("lyon", DeploymentOrder(("taurus-1.lyon.grid5000.fr",), "x")),
    "attach": lambda client: client.attach("lyon", "4", ["taurus-1.lyon.grid5000.fr"]),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("who", [Credentials(), Credentials("me"), Credentials("me", "secret")], ids=lambda w: repr(w))
def test_every_question_has_a_time_out_and_checks_the_server(
    verb: str, who: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """python-grid5000, and so EnOSlib, asks without any time-out; execo does not check the server's certificate unless
    a user is named. Here both are so for every verb and everybody."""
    asked: list[dict[str, Any]] = []

    def request(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
        asked.append(options)
        raise requests.ConnectTimeout("nobody there")

    monkeypatch.setattr(requests.Session, "request", request)
    client = Grid5000Client(http=Http("https://api.example.org/stable", who, sleep=lambda seconds: None))
    with pytest.raises(ApiError):
        VERBS[verb](client)
    assert asked
    for options in asked:
        assert options["verify"] is True
        connect, read = options["timeout"]
        assert 0 < connect <= 60
        assert 0 < read <= 400  # OAR itself may take 300 s for a reservation


@pytest.mark.parametrize(
    "text", ["username: [me", "user: me\npassword: secret\n", "- me\n", "username: me\n\tpassword: x"]
)
def test_a_broken_file_of_credentials_is_no_anonymous_client(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """python-grid5000 takes a file that it can't read for none, and goes on as nobody: what fails is the first
    submission, with a 403. Here the testbed does not even open, and says which file it is; of what is in it nothing."""
    for name in ("EXECO_G5K_URI", "EXECO_G5K_USER", "EXECO_G5K_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / ".python-grid5000.yaml"
    file.touch(mode=0o600)
    file.write_text(text)
    with pytest.raises(CredentialsError) as raised:
        Grid5000Testbed("lyon")
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)
