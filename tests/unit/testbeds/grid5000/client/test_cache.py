from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.errors import ApiError
from pytest_execo.testbeds.grid5000.client import Grid5000Client, default_cache
from pytest_execo.testbeds.grid5000.client.cache import Cache
from pytest_execo.testbeds.grid5000.client.http import Http

DATA = {"uid": "grid5000", "sites": {"lyon": {"uid": "lyon"}}}
HEADERS = {
    "ETag": '"abc"',
    "Last-Modified": "Mon, 23 Mar 2026 10:00:00 GMT",
    "Cache-Control": "max-age=60, public, must-revalidate, proxy-revalidate, s-maxage=60",
}


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "a" / "b"


@pytest.fixture
def get(http_: Http, directory: Path, clock: Clock) -> Callable[[], Any]:
    return lambda: Cache(directory, clock=clock).get(http_, "", {"deep": "1"})


def test_within_the_minute_that_the_server_grants_it_is_not_asked(
    server: Any, reply: Any, get: Any, clock: Clock
) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS))
    assert get() == DATA
    clock.now += 59
    assert get() == DATA
    assert len(server.asked) == 1
    assert server.last.query == {"deep": "1"}


def test_later_it_is_asked_only_whether_they_have_changed(server: Any, reply: Any, get: Any, clock: Clock) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS), reply(304, b"", HEADERS))
    get()
    clock.now += 60
    assert get() == DATA
    assert server.last.headers["if-none-match"] == '"abc"'
    assert server.last.headers["if-modified-since"] == "Mon, 23 Mar 2026 10:00:00 GMT"
    clock.now += 59
    assert get() == DATA
    assert len(server.asked) == 2


def test_what_has_changed_comes_instead(server: Any, reply: Any, get: Any, clock: Clock) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS), reply(200, {"sites": {}}, HEADERS | {"ETag": '"new"'}))
    get()
    clock.now += 60
    assert get() == {"sites": {}}
    clock.now += 60
    get()
    assert server.last.headers["if-none-match"] == '"new"'


def test_a_clock_that_went_back_makes_nothing_fresh(server: Any, reply: Any, get: Any, clock: Clock) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS), reply(304))
    get()
    clock.now -= 1000
    get()
    assert len(server.asked) == 2


@pytest.mark.parametrize("control", ["", "no-cache", "no-cache, max-age=60", "private", "s-maxage=60"])
def test_what_is_not_granted_is_asked(server: Any, reply: Any, get: Any, control: str) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS | {"Cache-Control": control}), reply(304))
    get()
    assert get() == DATA
    assert [asked.headers.get("if-none-match") for asked in server.asked] == [None, '"abc"']


def test_without_validators_all_of_it_comes_again(server: Any, reply: Any, get: Any) -> None:
    server.on("GET", "/", reply(200, DATA))
    get()
    get()
    assert "if-none-match" not in server.last.headers
    assert "if-modified-since" not in server.last.headers


def test_no_store_is_respected(server: Any, reply: Any, get: Any, directory: Path) -> None:
    server.on("GET", "/", reply(200, DATA, {"Cache-Control": "no-store"}))
    assert get() == DATA
    assert not directory.exists()


def test_it_is_for_its_owner_alone(server: Any, reply: Any, get: Any, directory: Path) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS))
    umask = os.umask(0)
    try:
        get()
    finally:
        os.umask(umask)
    assert directory.stat().st_mode & 0o777 == 0o700
    (file,) = directory.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_each_api_has_its_own_copy(
    server: Any, reply: Any, make_http: Callable[..., Http], directory: Path, clock: Clock
) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS))
    server.on("GET", "/3.0/", reply(200, {"sites": {}}, HEADERS))
    cache = Cache(directory, clock=clock)
    assert cache.get(make_http(), "", {}) == DATA
    assert cache.get(make_http(f"{server.uri}/3.0"), "", {}) == {"sites": {}}
    assert len(list(directory.iterdir())) == 2


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"not JSON\n{}",
        b"{}\n{}",
        b"[]\n{}",
        b"null\n{}",
        b'{"etag": null, "last_modified": null, "max_age": "x", "sha256": "y"}\n{}',
        b"\xff\xfe\x00",
    ],
)
def test_a_broken_copy_is_thrown_away(
    server: Any, reply: Any, get: Any, directory: Path, clock: Clock, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS))
    get()
    (file,) = directory.iterdir()
    file.write_bytes(broken)
    os.utime(file, (clock.now, clock.now))
    assert get() == DATA
    assert "thrown away, for it is broken" in caplog.text
    assert len(server.asked) == 2
    assert get() == DATA
    assert len(server.asked) == 2


def test_a_copy_of_which_a_byte_has_changed_is_broken(
    server: Any, reply: Any, get: Any, directory: Path, clock: Clock
) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS))
    get()
    (file,) = directory.iterdir()
    file.write_bytes(file.read_bytes().replace(b"lyon", b"liar"))
    os.utime(file, (clock.now, clock.now))
    assert get() == DATA


def test_a_copy_that_was_cut_is_broken(server: Any, reply: Any, get: Any, directory: Path) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS))
    get()
    (file,) = directory.iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    assert get() == DATA


@pytest.mark.parametrize("trouble", [{"status": 503}, {"status": 500}, {"manners": "drop"}, {"body": b"<html>"}])
def test_a_server_that_is_away_is_made_up_for(
    server: Any, reply: Any, get: Any, clock: Clock, trouble: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS), reply(**trouble))
    get()
    clock.now += 60
    assert get() == DATA
    assert "going on with the copy of the reference data of 1970-01-12T13:46:40Z" in caplog.text


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_not_made_up_for(server: Any, reply: Any, get: Any, clock: Clock, status: int) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS), reply(status, "no"))
    get()
    clock.now += 60
    with pytest.raises(ApiError):
        get()


def test_without_copy_nothing_is_made_up(server: Any, reply: Any, get: Any) -> None:
    server.on("GET", "/", reply(503))
    with pytest.raises(ApiError):
        get()


def test_a_directory_that_can_not_be_made_costs_only_the_copy(
    server: Any, reply: Any, http_: Http, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS))
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "cache")
    assert cache.get(http_, "", {}) == DATA
    assert "reference data are not kept: Not a directory" in caplog.text


def test_a_disk_that_is_full_leaves_nothing_behind(
    server: Any,
    reply: Any,
    get: Any,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    server.on("GET", "/", reply(200, DATA, HEADERS))
    monkeypatch.setattr(os, "replace", full)
    assert get() == DATA
    assert list(directory.iterdir()) == []
    assert "not kept: No space left on device" in caplog.text


def test_the_client_keeps_its_reference_data_there(
    server: Any, reply: Any, make_http: Callable[..., Http], directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.on("GET", "/", reply(200, DATA, HEADERS), reply(503))
    with Grid5000Client(http=make_http(), cache=directory) as client:
        assert client.reference() == DATA
    with Grid5000Client(http=make_http(), cache=directory) as client, caplog.at_level(logging.DEBUG):
        assert client.reference() == DATA
    assert len(server.asked) == 1
    with Grid5000Client(http=make_http()) as client, pytest.raises(ApiError):
        client.reference()


@pytest.mark.parametrize(
    ("given", "expected"),
    [("/var/cache/me", "/var/cache/me"), ("", "/home/jdoe/.cache"), ("relative", "/home/jdoe/.cache")],
)
def test_where_reference_data_are_kept(monkeypatch: pytest.MonkeyPatch, given: str, expected: str) -> None:
    monkeypatch.setenv("HOME", "/home/jdoe")
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert default_cache() == Path(expected, "pytest-execo", "grid5000")


def test_a_copy_says_nothing_of_who_asked(
    server: Any, reply: Any, make_http: Callable[..., Http], directory: Path
) -> None:
    from pytest_execo.testbeds.grid5000.client import Credentials

    server.on("GET", "/", reply(200, DATA, HEADERS))
    Cache(directory).get(make_http(credentials=Credentials("jdoe", "s3cr3t")), "", {})
    (file,) = directory.iterdir()
    text = file.read_text()
    assert "jdoe" not in text
    assert "s3cr3t" not in text
    assert json.loads(text.split("\n", 1)[1]) == DATA
