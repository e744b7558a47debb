"""What is said to TakTuk and to its relays, and what they say."""

from __future__ import annotations

import base64
import shutil
import subprocess

import pytest

from pytest_execo.connectors.contract import Command
from pytest_execo.connectors.taktuk.lines import (
    Said,
    bootstrap,
    data_line,
    host_set,
    payload,
    program,
    relay_source,
    shared_line,
    start_line,
    understand,
    words,
)

ODD = bytes(range(256))


def word(text: str) -> str:
    return "=" + base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"o3=s 1 4711", Said("o", 3, b"s 1 4711")),
        (b"o12+half", Said("o", 12, b"half", whole=False)),
        (b"r1=\xff", Said("r", 1, b"\xff")),
        (b"s2 768", Said("s", 2, b"768")),
        (b"c0 7 ssh: no route", Said("c", 0, b"7 ssh: no route")),
        (b"t0 3 ,5,", Said("t", 0, b"3 ,5,")),
        (b"no line of ours", None),
        (b"", None),
        (b"o=without a host", None),
    ],
)
def test_lines_of_taktuk(line: bytes, said: Said | None) -> None:
    assert understand(line) == said


@pytest.mark.parametrize(
    ("ranks", "text"),
    [([1], "1"), ([1, 2, 3], "1-3"), ([4, 1], "1/4"), ([9, 1, 2, 5, 4, 7], "1-2/4-5/7/9"), ([], "")],
)
def test_sets_of_hosts(ranks: list[int], text: str) -> None:
    assert host_set(ranks) == text


def test_words_keep_everything() -> None:
    assert words(["a b", "[!]", "caf\udce9", ""]) == b"a b\x1f[!]\x1fcaf\xe9\x1f"


def test_start_of_a_line_and_of_a_list() -> None:
    assert start_line(7, Command(line="exit 3"), "mark", "dumb") == (
        f"s 7 l {word('mark')} {word('dumb')} - 0 {word('exit 3')}"
    )
    command = Command(argv=("a b", "", "caf\udce9"), env={"X": "1\n"}, cwd="/tmp", pty=True, detached=True)
    assert start_line(8, command, "m", "xterm").split() == [
        *("s", "8", "pd", word("m"), word("xterm"), word("/tmp"), "1"),
        *map(word, ("X", "1\n", "a b", "", "caf\udce9")),
    ]


def test_data_of_any_bytes() -> None:
    assert payload(data_line(3, ODD).split()[2].encode()) == ODD
    assert data_line(3, ODD).split()[:2] == ["i", "3"]
    assert shared_line("key", b"x") == "b key eA=="


def test_programs_are_sent_without_comments() -> None:
    for name in ("relay", "files"):
        lines = program(name).splitlines()
        assert lines[0] == "use strict;"
        assert not any(line.startswith("#") or not line for line in lines)
    assert bytes.fromhex(relay_source()).decode() == program("relay")
    assert "'" not in bootstrap(6, 2, 100).partition("'")[2].rpartition("'")[0]  # it is between quotes


needs_perl = pytest.mark.skipif(shutil.which("perl") is None, reason="perl is not installed")


@needs_perl
@pytest.mark.parametrize("size", [0, 1, 2, 3, 62, 63, 64, 65, 126, 127, 1000, 24_576])
def test_perl_has_base64_where_it_lacks_a_module(size: int) -> None:
    # The programs of the relay alone, without what replaces them.
    own = program("relay").partition("sub encode")[2].partition("if (eval")[0]
    data = (ODD * 100)[:size]
    script = (
        f"use strict; sub encode{own}\nlocal $/; my $d = <STDIN>; my $e = encode($d); print $e, ' ', decode($e) eq $d"
    )
    done = subprocess.run(["perl", "-e", script], input=data, capture_output=True, timeout=30, check=True)
    assert done.stdout == base64.b64encode(data) + b" 1"


@needs_perl
@pytest.mark.parametrize("name", ["relay", "files"])
def test_perl_understands_the_programs(name: str) -> None:
    done = subprocess.run(["perl", "-wc", "-e", program(name)], capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr.strip() == "-e syntax OK"
