from __future__ import annotations

import gzip
import json
import logging
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3

from pytest_execo.errors import ApiError, CredentialsError, InvalidRequest
from pytest_execo.testbeds.grid5000.client import Credentials
from pytest_execo.testbeds.grid5000.client.http import Http

SECRET = "s3cr3t-hunter2"
ME = Credentials("jdoe", SECRET)


def test_json_in_and_out(server: Any, http_: Http, reply: Any) -> None:
    server.on("POST", "/x", reply(201, {"a": "é"}))
    assert http_.json("POST", "x", body={"b": [1]}, params={"q": "1,2 3"}) == {"a": "é"}
    asked = server.last
    assert asked.data == {"b": [1]}
    assert asked.query == {"q": "1,2 3"}
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["accept"] == "application/json"
    assert re.fullmatch(r"pytest-execo/\d\S*", asked.headers["user-agent"])


def test_text_is_not_read_as_json(server: Any, http_: Http, reply: Any) -> None:
    server.on("POST", "/x", reply(202, "a plain sentence\n"))
    assert http_.text("POST", "x") == "a plain sentence"


def test_no_content_is_none(server: Any, http_: Http, reply: Any) -> None:
    server.on("GET", "/x", reply(204))
    assert http_.json("GET", "x") is None


def test_a_connection_is_kept_for_questions_and_not_for_orders(server: Any, http_: Http, reply: Any) -> None:
    server.on("GET", "/x", reply(200, {}))
    server.on("POST", "/x", reply(201, {}))
    for method in ("GET", "GET", "POST", "GET", "POST"):
        http_.json(method, "x")
    first, second, third, fourth, fifth = (asked.connection for asked in server.asked)
    assert first == second == fourth
    assert len({first, third, fifth}) == 3


def test_the_error_has_the_sentence_of_the_server(server: Any, http_: Http, reply: Any) -> None:
    server.on("GET", "/x", reply(404, "Cannot find resource /x\n", {"Content-Type": "text/plain"}))
    with pytest.raises(ApiError) as caught:
        http_.json("GET", "x", params={"a": "b"})
    error = caught.value
    assert (error.method, error.status, error.reason) == ("GET", 404, "Cannot find resource /x")
    assert error.url == f"{server.uri}/x?a=b"
    assert str(error) == f"Cannot find resource /x (GET {server.uri}/x?a=b: 404)"


@pytest.mark.parametrize(
    ("status", "method", "times"),
    [
        (500, "GET", 6), (502, "GET", 6), (503, "GET", 6), (504, "GET", 6), (429, "GET", 6),
        (400, "GET", 1), (401, "GET", 1), (404, "GET", 1), (501, "GET", 1),
        (500, "POST", 1), (502, "POST", 1), (503, "POST", 1), (504, "POST", 1),
        (500, "DELETE", 1), (502, "DELETE", 6), (503, "PUT", 6),
    ],
)  # fmt: skip
def test_retries_are_bounded_and_only_where_safe(
    server: Any, http_: Http, reply: Any, slept: list[float], status: int, method: str, times: int
) -> None:
    server.on(method, "/x", reply(status, "no"))
    with pytest.raises(ApiError) as caught:
        http_.json(method, "x")
    assert caught.value.status == status
    assert len(server.asked) == times
    assert len(slept) == times - 1
    assert slept == sorted(slept)


def test_a_server_that_comes_back_is_no_error(
    server: Any, http_: Http, reply: Any, slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    busy = reply(503, "Server Unavailable", {"Retry-After": "17", "Content-Type": "text/plain"})
    server.on("GET", "/x", reply(502, "<html>"), busy, reply(200, {"ok": 1}))
    with caplog.at_level(logging.INFO, "pytest_execo"):
        assert http_.json("GET", "x") == {"ok": 1}
    assert slept[1] == 17
    assert [line.split(" (")[0] for line in caplog.messages] == ["Bad Gateway", "Server Unavailable"]
    assert caplog.messages[1].endswith("503); again in 17.0 s")


def test_a_server_that_wants_an_hour_is_not_waited_for(
    server: Any, http_: Http, reply: Any, slept: list[float]
) -> None:
    server.on("GET", "/x", reply(503, "later", {"Retry-After": "3600"}))
    with pytest.raises(ApiError, match="later"):
        http_.json("GET", "x")
    assert not slept


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_nobody_there(make_http: Callable[..., Http], refused: str, slept: list[float], method: str) -> None:
    with pytest.raises(ApiError, match=r"^can't connect: Connection refused \(.*: no answer\)$") as caught:
        make_http(refused).json(method, "x", body={})
    assert caught.value.status is None
    assert len(slept) == 5  # nothing was sent: any method may be tried again


def test_no_such_host(make_http: Callable[..., Http]) -> None:
    with pytest.raises(ApiError, match=r"^can't connect: "):
        make_http("http://nosuch.invalid/stable").json("GET", "x")


@pytest.mark.parametrize(
    ("method", "manners", "times", "reason"),
    [
        ("GET", "drop", 6, "the connection broke before an answer came"),
        ("DELETE", "drop", 6, "the connection broke before an answer came"),
        ("POST", "drop", 1, "the connection broke before an answer came; whether it was done is not known"),
        ("GET", "garble", 6, "the connection broke before an answer came"),
        ("POST", "garble", 1, "the connection broke before an answer came; whether it was done is not known"),
        ("GET", "cut", 6, "the answer was cut short or garbled"),
        ("POST", "cut", 1, "the answer was cut short or garbled; whether it was done is not known"),
    ],
)
def test_bad_manners(server: Any, http_: Http, reply: Any, method: str, manners: str, times: int, reason: str) -> None:
    server.on(method, "/x", reply(200, {"a": 1}, manners=manners))
    with pytest.raises(ApiError) as caught:
        http_.json(method, "x")
    assert caught.value.reason == reason
    assert caught.value.status is None
    assert len(server.asked) == times


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("DELETE", 1), ("POST", 1)])
def test_an_answer_that_does_not_come_has_a_deadline(
    server: Any, make_http: Callable[..., Http], reply: Any, method: str, times: int
) -> None:
    from pytest_execo.testbeds.grid5000.client.retrying import Retrying

    server.on(method, "/x", reply(manners="hang"))
    with pytest.raises(ApiError, match=r"^no answer within 0\.05 s") as caught:
        make_http(read_timeout=0.05, retrying=Retrying(1)).json(method, "x")
    assert len(server.asked) == times
    assert caught.value.reason.endswith("is not known") == (method == "POST")


def test_a_call_has_its_own_time_out(server: Any, make_http: Callable[..., Http], reply: Any) -> None:
    server.on("POST", "/x", reply(manners="hang"))
    with pytest.raises(ApiError, match=r"^no answer within 0\.05 s"):
        make_http(read_timeout=60).json("POST", "x", timeout=0.05)


@pytest.mark.skipif(not hasattr(urllib3.response.HTTPResponse, "read1"), reason="urllib3 before 2.2")
def test_an_answer_that_drips_has_a_deadline_as_a_whole(
    server: Any, make_http: Callable[..., Http], reply: Any
) -> None:
    from pytest_execo.testbeds.grid5000.client.retrying import Retrying

    server.on("GET", "/x", reply(200, {"a": 1}, manners="drip"))
    ticks = iter(range(1000))
    with pytest.raises(ApiError, match=r"^the answer was not complete within 5 s"):
        make_http(read_timeout=1, retrying=Retrying(0), clock=lambda: next(ticks) * 2).json("GET", "x")


def test_an_answer_that_never_ends_does_not_fill_the_memory(
    server: Any, http_: Http, reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_execo.testbeds.grid5000.client import transport

    monkeypatch.setattr(transport, "_LARGEST", 1000)
    server.on("GET", "/x", reply(200, b"x" * 2000))
    with pytest.raises(ApiError, match="the answer is larger than 1000 bytes"):
        http_.json("GET", "x")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("body", "times", "shown"),
    [
        (b"<html><body>Welcome to the hotel</body></html>", 1, "'<html><body>Welcome to the hotel</body></html>'"),
        (b'{"items": [1, 2', 6, "'{\"items\": [1, 2'"),
        (b"\xff\x00 what " + b"x" * 500, 6, f"'\ufffd what {'x' * 193}'"),
        (b"[" * 100_000, 6, f"'{'[' * 200}'"),
    ],
)
def test_what_is_not_json_is_shown(server: Any, http_: Http, reply: Any, body: bytes, times: int, shown: str) -> None:
    server.on("GET", "/x", reply(200, body))
    with pytest.raises(ApiError) as caught:
        http_.json("GET", "x")
    assert caught.value.reason == f"the answer is not JSON: {shown}"
    assert caught.value.status == 200
    assert len(server.asked) == times


def test_an_answer_may_be_compressed(server: Any, http_: Http, reply: Any) -> None:
    data = {"items": list(range(50_000))}
    server.on("GET", "/x", reply(200, gzip.compress(json.dumps(data).encode()), {"Content-Encoding": "gzip"}))
    assert http_.json("GET", "x") == data
    assert "gzip" in server.last.headers["accept-encoding"]
    assert http_.json("GET", "x") == data
    assert server.asked[0].connection == server.asked[1].connection
    server.on("GET", "/x", reply(200, b"this is not gzip", {"Content-Encoding": "gzip"}))
    with pytest.raises(ApiError, match=r"^the answer was cut short or garbled"):
        http_.json("GET", "x")


# credentials


def test_nobody_sends_nothing(
    server: Any, http_: Http, reply: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login jdoe password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.on("GET", "/x", reply(200, {}))
    http_.json("GET", "x")
    assert not {"authorization", "x-api-user-cn", "x-remote-ident"} & server.last.headers.keys()
    assert http_.user is None


def test_user_and_password_are_sent_at_once(server: Any, make_http: Callable[..., Http], reply: Any) -> None:
    server.on("GET", "/x", reply(200, {}))
    http = make_http(credentials=Credentials("jdoe", "pä:ss"))
    http.json("GET", "x")
    assert server.last.headers["authorization"] == "Basic amRvZTpww6Q6c3M="
    assert http.user == "jdoe"


def test_a_user_without_password_is_not_sent(server: Any, make_http: Callable[..., Http], reply: Any) -> None:
    server.on("GET", "/x", reply(200, {}))
    make_http(credentials=Credentials("jdoe")).json("GET", "x")
    assert "jdoe" not in str(server.last.headers)


@pytest.mark.parametrize("uri", ["http://api.grid5000.fr/stable", "http://192.168.1.1", "http://127.0.0.1.example.org"])
@pytest.mark.parametrize("who", [ME, Credentials("jdoe", sslcert="/dev/null")])
def test_nothing_secret_goes_in_the_clear(uri: str, who: Credentials) -> None:
    with pytest.raises(CredentialsError, match=rf"^{uri}: would send the password in the clear; write https://$"):
        Http(uri, who)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:8000/stable", "http://localhost", "http://[::1]:80", "https://x.fr"])
def test_this_machine_and_https_may_have_it(uri: str) -> None:
    Http(uri, ME).close()
    Http("http://api.grid5000.fr/stable").close()  # nothing to hide


@pytest.mark.parametrize(
    "uri", ["", "lyon", "ftp://x", "https://", "https://[x", "https://x:y/", "https://x/?a=b", "https://x\n/"]
)
def test_what_is_no_address_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(f"{uri!r} is not the address of an API; write https://api")):
        Http(uri)


@pytest.mark.parametrize("uri", [f"https://jdoe:{SECRET}@api.grid5000.fr", f"jdoe:{SECRET}@x", f"https://{SECRET}@[x"])
def test_credentials_in_the_address_are_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(CredentialsError, match="has a user in it") as caught:
        Http(uri)
    assert SECRET not in str(caught.value)


def test_a_slash_at_the_end_makes_no_difference(server: Any, make_http: Callable[..., Http], reply: Any) -> None:
    server.on("GET", "/x", reply(200, 1))
    http = make_http(f"{server.uri}/")
    assert http.uri == server.uri
    assert http.json("GET", "x") == 1


def test_a_redirect_within_the_api_keeps_them(server: Any, make_http: Callable[..., Http], reply: Any) -> None:
    server.on("GET", "/versions/latest", reply(307, b"", {"Location": "/stable/versions/abc"}))
    server.on("GET", "/versions/abc", reply(200, {"uid": "abc"}))
    assert make_http(credentials=ME).json("GET", "versions/latest") == {"uid": "abc"}
    assert "authorization" in server.last.headers


def test_a_redirect_to_another_host_does_not(
    server: Any, make_http: Callable[..., Http], reply: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine localhost login jdoe password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    elsewhere = f"http://localhost:{server.port}/stable/y"  # another name, which the credentials are not for
    server.on("GET", "/x", reply(302, b"", {"Location": elsewhere}))
    server.on("GET", "/y", reply(200, {"ok": 1}))
    assert make_http(credentials=ME).json("GET", "x") == {"ok": 1}
    assert server.last.headers["host"].startswith("localhost")
    assert "authorization" not in server.last.headers
    assert SECRET not in str(server.last)


def test_an_order_is_not_redirected(server: Any, http_: Http, reply: Any) -> None:
    server.on("POST", "/x", reply(302, b"", {"Location": "/stable/y"}))
    with pytest.raises(ApiError, match=r"^is redirected, which is followed for GET only"):
        http_.json("POST", "x")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("file:///etc/passwd", "is redirected to nowhere by file, which is not followed from"),
        ("ftp://example.org/", "is redirected to example.org by ftp"),
        ("http://[bad", "the request can't be made: "),  # by requests, which looks where it would go
        ("/stable/x", "is redirected more than 5 times"),
    ],
)
def test_bad_redirects_end(server: Any, http_: Http, reply: Any, location: str, said: str) -> None:
    server.on("GET", "/x", reply(302, b"", {"Location": location}))
    with pytest.raises(ApiError, match=re.escape(said)):
        http_.json("GET", "x")


def test_a_redirect_without_location_is_a_refusal(server: Any, http_: Http, reply: Any) -> None:
    server.on("GET", "/x", reply(302))
    with pytest.raises(ApiError, match=r"^Found \("):
        http_.json("GET", "x")


def test_cookies_are_not_kept(server: Any, http_: Http, reply: Any) -> None:
    server.on("GET", "/x", reply(200, {}, {"Set-Cookie": "session=1; Path=/"}))
    http_.json("GET", "x")
    http_.json("GET", "x")
    assert "cookie" not in server.last.headers


def test_this_machine_is_not_asked_by_way_of_a_proxy(
    server: Any, make_http: Callable[..., Http], reply: Any, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    monkeypatch.setenv("http_proxy", refused)
    monkeypatch.setenv("HTTP_PROXY", refused)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.on("GET", "/x", reply(200, {"ok": 1}))
    assert make_http(credentials=ME).json("GET", "x") == {"ok": 1}
    with pytest.raises(ApiError, match=r"^the proxy does not let us through") as caught:
        make_http("http://example.invalid").json("GET", "x")
    assert refused not in caught.value.reason


@pytest.mark.parametrize(
    ("who", "hint"),
    [
        (None, "write user and password into"),
        (ME, "user or password are wrong; look at"),
        (Credentials("jdoe", "wrong"), "user or password are wrong; look at"),
    ],
)
def test_401_says_what_to_do(
    server: Any, make_http: Callable[..., Http], reply: Any, who: Credentials | None, hint: str
) -> None:
    server.on("GET", "/x", reply(401, "<html>401</html>", {"Content-Type": "text/html"}))
    with pytest.raises(ApiError) as caught:
        make_http(credentials=who).json("GET", "x")
    assert caught.value.reason == (
        f"Unauthorized: {hint} ~/.python-grid5000.yaml, or EXECO_G5K_USER and EXECO_G5K_PASSWORD"
    )


def test_401_of_oar_is_its_own_sentence(server: Any, make_http: Callable[..., Http], reply: Any) -> None:
    said = 'Request to http://x failed with status 401: {"message":"# You are not in this project"}'
    server.on("GET", "/x", reply(401, said, {"Content-Type": "text/plain"}))
    with pytest.raises(ApiError, match=r"^You are not in this project \("):
        make_http(credentials=ME).json("GET", "x")


@pytest.mark.parametrize(
    "body",
    [
        f"cannot log in jdoe with {SECRET}",
        "bad header: Basic amRvZTpzM2NyM3QtaHVudGVyMg==",
        f'{{"message": "{SECRET}"}}',
    ],
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_server_that_tells_the_password_is_not_repeated(
    server: Any,
    make_http: Callable[..., Http],
    reply: Any,
    body: str,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.on("GET", "/x", reply(status, body if status != 200 else f"{body}?", {"Content-Type": "text/plain"}))
    with caplog.at_level(logging.DEBUG), pytest.raises(ApiError) as caught:
        make_http(credentials=ME).json("GET", "x")
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)} {caplog.text}"
    assert SECRET not in shown
    assert "amRvZTpzM2NyM3QtaHVudGVyMg" not in shown
    assert "***" in shown
    trace: Any = caught.value.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename != __file__:
            assert SECRET not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next


def test_errors_have_no_past_that_knows_more(make_http: Callable[..., Http], refused: str) -> None:
    with pytest.raises(ApiError) as caught:
        make_http(refused, ME).json("GET", "x")
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_connection_that_is_not_accepted_has_a_deadline(make_http: Callable[..., Http]) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(full.getsockname())
            uri = f"http://127.0.0.1:{full.getsockname()[1]}"
            with pytest.raises(ApiError, match=r"^no connection within 0\.02 s"):
                make_http(uri, connect_timeout=0.02).json("POST", "x")
        finally:
            for each in waiting:
                each.close()
