from __future__ import annotations

import logging
import os
import pickle
import traceback
from pathlib import Path

import pytest

from pytest_execo.errors import CredentialsError
from pytest_execo.testbeds.grid5000.client import Credentials, read_credentials

SECRET = "s3cr3t-hunter2"


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("EXECO_G5K_USER", "EXECO_G5K_PASSWORD"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "home" / ".python-grid5000.yaml"
    path.parent.mkdir()
    return path


def write(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o600)


def test_no_file_is_nobody_as_inside_of_the_platform() -> None:
    assert read_credentials() == Credentials()
    assert not read_credentials().are_sent


def test_a_file_that_is_named_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(
        CredentialsError, match=r"nosuch\.yaml: can't be read: No such file or directory; write username"
    ):
        read_credentials(tmp_path / "nosuch.yaml")


def test_user_and_password(file: Path) -> None:
    write(file, f"username: jdoe\npassword: {SECRET}\n")
    assert read_credentials() == Credentials("jdoe", SECRET)
    assert read_credentials(file) == Credentials("jdoe", SECRET)


def test_client_certificate(file: Path, tmp_path: Path) -> None:
    cert, key = tmp_path / "home" / "cert.pem", tmp_path / "key.pem"
    cert.touch()
    key.touch()
    write(file, f"uri: https://api-ext.grid5000.fr/stable\nsslcert: ~/cert.pem\nsslkey: {key}\nssluser: jdoe\n")
    assert read_credentials() == Credentials(
        "jdoe", sslcert=str(cert), sslkey=str(key), uri="https://api-ext.grid5000.fr/stable"
    )


def test_own_authorities(file: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    write(file, f"username: jdoe\npassword: x\nverify_ssl: {bundle}\n")
    assert read_credentials().ca_bundle == str(bundle)
    write(file, "username: jdoe\npassword: x\nverify_ssl: true\n")
    assert read_credentials().ca_bundle is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; write username and password"),
        (f"username: jdoe\npassword: '{SECRET}", r"is not YAML \(line 2\)"),
        (f"username: jdoe\npassword: *{SECRET}", r"is not YAML \(line 2\)"),
        (f"username: jdoe\npassword: !!python/object:{SECRET} x", r"is not YAML \(line 2\)"),
        (f"username jdoe password {SECRET}", "is not a mapping; write"),
        (f"[{SECRET}]", "is not a mapping"),
        (f"username: jdoe\n{SECRET}: jdoe", r"has a key that is not known; known: password, sslcert"),
        (f"username: jdoe\npasword: {SECRET}", r"has a key that is not known; did you mean 'password'\?"),
        ("username: jdoe\npassword: 12345", "password is not a text; write it between quotes"),
        ("username: jdoe\npassword:", "password is not a text"),
        ("username: [jdoe]\npassword: x", "username is not a text"),
        (f"password: {SECRET}", "has a password without username; write both"),
        (f"username: 'j doe'\npassword: {SECRET}", "the user is not a Grid'5000 login"),
        (f"username: 'j:doe'\npassword: {SECRET}", "the user is not a Grid'5000 login"),
        (f"username: jdoe\npassword: {SECRET}\nverify_ssl: false", "verify_ssl: false is refused, for anybody"),
        (f"username: jdoe\npassword: {SECRET}\nverify_ssl: /{SECRET}", "verify_ssl names a file that can't be read"),
        (f"sslcert: /{SECRET}\nssluser: jdoe", "sslcert names a file that can't be read"),
        ("sslcert: /dev/null", "has only sslcert; write sslcert and ssluser"),
        ("sslkey: /dev/null\nssluser: jdoe", "has only sslkey, ssluser; write"),
        (f"username: jdoe\npassword: {SECRET}\nssluser: jdoe\nsslcert: /dev/null", "has both a password and a cert"),
        ("a: " + "[" * 490 + "]" * 490, "is not YAML"),
        ("x" * 70000, "is larger than 65536 bytes"),
    ],
    ids=range(22),
)  # fmt: skip
def test_a_broken_file_is_an_error_of_one_line_that_quotes_nothing(file: Path, text: str, said: str) -> None:
    write(file, text)
    with pytest.raises(CredentialsError, match=said) as caught:
        read_credentials()
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


def test_the_frame_of_the_error_does_not_know_the_password(file: Path) -> None:
    write(file, f"username: jdoe\npassword: {SECRET}\ntypo: 1\n")
    with pytest.raises(CredentialsError) as caught:
        read_credentials()
    trace = caught.value.__traceback__
    assert trace is not None
    frames = [frame for frame, _ in traceback.walk_tb(trace.tb_next)]
    assert [frame.f_code.co_name for frame in frames] == ["read_credentials"]
    assert SECRET not in repr([frame.f_locals for frame in frames])


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b"username: \x80\x81"])
def test_bytes_that_are_no_text(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(CredentialsError, match="is not"):
        read_credentials()


def test_a_directory_or_pipe_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="is not a file"):
        read_credentials(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CredentialsError, match="is not a file"):
        read_credentials(tmp_path / "pipe")


def test_an_unreadable_file_is_an_error(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    write(file, "username: jdoe")

    def deny(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)  # root may read everything
    with pytest.raises(CredentialsError, match="can't be read: Permission denied; make it readable"):
        read_credentials()


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_for_others_to_read_is_warned_of(
    file: Path, mode: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    write(file, f"username: jdoe\npassword: {SECRET}\n")
    file.chmod(mode)
    with caplog.at_level(logging.DEBUG):
        read_credentials()
    assert [f"{file} can be read by others; run: chmod 600 {file}"] * warned == caplog.messages


def test_variables_win_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, "username: jdoe\npassword: old\nuri: https://example.org\n")
    monkeypatch.setenv("EXECO_G5K_PASSWORD", SECRET)
    assert read_credentials() == Credentials("jdoe", SECRET, uri="https://example.org")
    monkeypatch.setenv("EXECO_G5K_USER", "other")
    assert read_credentials() == Credentials("other", SECRET, uri="https://example.org")


def test_variables_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECO_G5K_USER", "jdoe")
    assert read_credentials() == Credentials("jdoe")
    monkeypatch.setenv("EXECO_G5K_PASSWORD", SECRET)
    assert read_credentials() == Credentials("jdoe", SECRET)


def test_a_password_in_the_environment_needs_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECO_G5K_PASSWORD", SECRET)
    with pytest.raises(CredentialsError, match="EXECO_G5K_PASSWORD: is set without a user; set EXECO_G5K_USER too"):
        read_credentials()


def test_the_password_of_another_user_is_not_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, f"username: jdoe\npassword: {SECRET}\n")
    monkeypatch.setenv("EXECO_G5K_USER", "other")
    with pytest.raises(CredentialsError, match=r"EXECO_G5K_USER: is another user than that of .*; set EXECO_G5K_PASS"):
        read_credentials()
    monkeypatch.setenv("EXECO_G5K_USER", "jdoe")
    assert read_credentials() == Credentials("jdoe", SECRET)
    monkeypatch.setenv("EXECO_G5K_USER", "j doe")
    with pytest.raises(CredentialsError, match="EXECO_G5K_USER: is not a Grid'5000 login"):
        read_credentials()


def test_a_password_in_the_environment_comes_instead_of_the_certificate(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, "sslcert: /dev/null\nssluser: jdoe\n")
    monkeypatch.setenv("EXECO_G5K_PASSWORD", SECRET)
    assert read_credentials() == Credentials("jdoe", SECRET)


def test_repr_has_no_password() -> None:
    assert SECRET not in repr(Credentials("jdoe", SECRET))
    assert SECRET not in str([Credentials("jdoe", SECRET)])
    assert pickle.loads(pickle.dumps(Credentials("jdoe", SECRET))).password == SECRET


@pytest.mark.parametrize(
    "wrong",
    [{"password": SECRET}, {"sslcert": "/c"}, {"sslkey": "/k", "user": "jdoe"}, {"user": "a\r\nb"}, {"user": ""}],
)
def test_what_makes_no_sense_together_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(CredentialsError) as caught:
        Credentials(**wrong)
    assert SECRET not in str(caught.value)
