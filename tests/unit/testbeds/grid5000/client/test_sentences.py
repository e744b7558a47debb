from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.testbeds.grid5000.client.sentences import excerpt, phrase, sentence

PLAIN = "text/plain; charset=utf-8"


def relayed(status: int, body: object) -> str:
    text = body if isinstance(body, str) else json.dumps(body)
    return f"Request to http://api-server.lyon.grid5000.fr/oarapi-priv/jobs.json failed with status {status}: {text}"


def said(text: str, status: int = 400, content_type: str = PLAIN) -> str:
    return sentence(status, content_type, text.encode())


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "Bad Request"),
        (401, "Authorization Required"),
        (403, "You are not authorized to access this resource"),
        (404, "Not Found"),
        (404, "Cannot find resource /sites/x"),
        (404, "Couldn't find OAR::Job with 'job_id'=7"),
        (404, "Job id '7' cannot be found."),
        (404, "Vlan 77 does not exist"),
        (404, "Unknown node 'x'."),
        (406, "Not Acceptable"),
        (412, "Precondition Failed"),
        (415, "Content-Type 'text/html' is not supported"),
        (422, "Missing node list"),
        (422, "An action ('start' or 'stop') should be provided"),
        (500, "Unable to contact http://kavlan"),
        (503, "Server Unavailable"),
    ],
)
def test_plain_text_is_the_sentence(status: int, text: str) -> None:
    assert said(f"{text}\n", status) == text


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("There are not enough resources for it\nOAR_JOB_ID=-5", "There are not enough resources for it"),
        ("OAR_JOB_ID=-5\n# Error: please verify your job submission syntax.",
         "Error: please verify your job submission syntax."),
        (
            "[ADMISSION RULE] Modify resource description with type constraints\n"
            "[ADMISSION RULE] Set walltime to default (3600 s).\n"
            "# Advance reservation request: waiting for validation...\n"
            "# Reservation not valid --> KO (This reservation could run at 2026-11-23 01:32:22)",
            "Reservation not valid --> KO (This reservation could run at 2026-11-23 01:32:22)",
        ),
        ("[ADMISSION RULE] Error: unknown job type: nosuch\n\n", "Error: unknown job type: nosuch"),
        (
            "# [ADMISSION RULE] Walltime too long for this queue.\n# Ask for less\n# INFO: Moldable instance: 1",
            "Walltime too long for this queue. Ask for less",
        ),
        (
            "Oardel command exited with status 1536: Deleting the job = 7 ...ERROR.\n"
            "Cannot frag 7 ; This job was already killed.",
            "Cannot frag 7 ; This job was already killed.",
        ),
        ("Oarsub command exited with status 4608: Bad request\nCmd:\nOARDO_USER=x oarsub", "Bad request"),
        ("one\ntwo\none", "one; two"),
    ],
)  # fmt: skip
def test_what_oar_says_is_unwrapped(message: str, expected: str) -> None:
    body = {"code": 400, "title": "Bad query", "message": message}
    assert said(relayed(400, body)) == expected


def test_a_relayed_message_may_be_anything() -> None:
    assert said(relayed(404, "Job id '7' cannot be found."), 404) == "Job id '7' cannot be found."
    assert said(relayed(400, {"title": "Bad query", "message": ""})) == "Bad query"
    assert said(relayed(503, "<html><body>gone</body></html>"), 503) == "Service Unavailable"
    assert said(relayed(502, ""), 502) == "Bad Gateway"


def test_json_that_was_cut_gives_what_is_left_of_the_message() -> None:
    assert said(relayed(400, '{"code":400,"message":"Bad resource\\nreque')) == "Bad resource; reque"
    assert said(relayed(400, '{"message" => "Printed by Ruby", "code" => 400}')) == "Printed by Ruby"
    assert said(relayed(400, '{"message":"broken \\u00')) == "broken \\u00"


def test_what_the_api_says_before_stays() -> None:
    text = f"Cannot launch deployment: {relayed(400, {'message': 'no rights'})}"
    assert said(text) == "Cannot launch deployment: no rights"


@pytest.mark.parametrize(
    ("content_type", "page"),
    [
        ("text/html; charset=iso-8859-1", "<h1>oops</h1>"),
        ("text/plain", "<!DOCTYPE HTML PUBLIC>\n<html><head><title>502 Proxy Error</title>"),
        ("", "  <html>"),
        ("text/plain", ""),
    ],
)
def test_of_a_page_only_the_phrase_of_the_status_is_left(content_type: str, page: str) -> None:
    assert said(page, 502, content_type) == "Bad Gateway"


def test_a_status_without_name() -> None:
    assert phrase(599) == "HTTP status 599"


def test_json_of_other_services() -> None:
    assert said('{"message":"permission denied for table x","code":"42501"}', 403) == "permission denied for table x"


def test_a_sentence_is_one_line_without_control_characters() -> None:
    assert said("red \x1b[31malert\r\nnext\x00") == "red  [31malert; next"
    assert len(said("x" * 5000)) == 1001


@settings(max_examples=100)
@given(st.binary(max_size=300), st.sampled_from([PLAIN, "text/html", ""]), st.integers(300, 599))
def test_whatever_comes_gives_one_line(body: bytes, content_type: str, status: int) -> None:
    text = sentence(status, content_type, body)
    assert text.isprintable()
    assert text


@settings(max_examples=50)
@given(st.text(max_size=50))
def test_whatever_comes_from_oar_gives_one_line(message: str) -> None:
    assert said(relayed(400, {"message": message})).isprintable()


def test_an_excerpt_is_short_and_on_one_line() -> None:
    assert excerpt(b" a\n\tb\xff ") == "a b\ufffd"
    assert len(excerpt(b"x" * 1000)) == 200
