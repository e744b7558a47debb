"""The definition of “transparent”: the same bytes, whatever carries them."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from collections.abc import Callable

import pytest

from pytest_execo import Host, Process
from pytest_execo.processes.handlers import OnBytes

pytestmark = pytest.mark.integration

Make = Callable[..., Process]
Eventually = Callable[[Callable[[], object]], None]

MEGABYTE = 1_000_000
# What a carrier of lines, of text or of words would change.
ODD = (
    bytes(range(256)) * 4,
    b"no newline at the end",
    b"\r\n one \r two \n\n three \r\n",
    b"caf\xe9 \xff\xfe \xed\xa0\x80 not UTF-8",
    b"\0" * 1000,
    b"!a  b\t[c] $d `e` \\f 'g \"h\x1b[31m\x04\x03\x1f",
    b"\x01execo:1 2\n\x01execo-end:",
    b"x" * 100_000 + b"\n",
)


@pytest.mark.parametrize("data", ODD, ids=range(len(ODD)))
def test_any_bytes_come_back_as_they_went(process: Make, data: bytes) -> None:
    p = process("cat").start()
    p.write(data).close_stdin().wait()
    assert p.stdout_bytes == data
    assert (p.exit_code, p.stderr_bytes) == (0, b"")


def test_the_streams_are_kept_apart(process: Make) -> None:
    p = process("cat >&2; printf 'out \\377'", stdin=b"err \xfe\r\n").run()
    assert (p.stdout_bytes, p.stderr_bytes) == (b"out \xff", b"err \xfe\r\n")


def test_arguments_of_any_bytes(process: Make) -> None:
    # How Python writes bytes that are not UTF-8 in text (PEP 383).
    words = [b"caf\xe9", b"a\r\nb", b" !  [ ] ", bytes(range(1, 256))]
    p = process(["printf", "%s\n", *map(os.fsdecode, words)]).run()
    assert p.stdout_bytes == b"".join(word + b"\n" for word in words)


def test_a_line_of_any_bytes(process: Make) -> None:
    p = process(os.fsdecode(b"printf %s 'caf\xe9 !  x\t\r'; printf \\\\n")).run()
    assert p.stdout_bytes == b"caf\xe9 !  x\t\r\n"


@pytest.mark.parametrize("size", [100_000, 131_072, MEGABYTE])
def test_long_command_lines(process: Make, size: int) -> None:
    text = "x" * size
    p = process(f"printf %s {text} | wc -c; cat", stdin="input").run()
    assert p.stdout == f"{size}\ninput"


def test_a_long_list_of_arguments(process: Make) -> None:
    words = [f"word-{number}" for number in range(60_000)]
    p = process(
        ["/bin/sh", "-c", 'echo $#; for last; do :; done; echo "$last"; cat', "sh", *words], stdin="input"
    ).run()
    assert p.stdout == f"{len(words)}\n{words[-1]}\ninput"


@pytest.mark.slow
def test_a_hundred_megabytes_of_output(process: Make) -> None:
    # A checksum, so that no test has to hold it; `keep` bounds what the process does.
    p = process(
        "head -c 100000000 /dev/urandom | tee /dev/stderr | sha256sum; exec 2>&-", stdout_handlers=(), keep="256MiB"
    )
    p = process("{ head -c 100000000 /dev/urandom | tee /proc/self/fd/3 | sha256sum >&2; } 3>&1", keep="256MiB").run()
    assert p.stdout_size == 100 * MEGABYTE
    assert hashlib.sha256(p.stdout_bytes).hexdigest() in p.stderr


@pytest.mark.slow
def test_a_slow_reader_of_a_fast_process_bounds_memory(process: Make) -> None:
    seen = 0

    def slowly(process: Process, stream: str, data: bytes) -> None:
        nonlocal seen
        seen += len(data)

    tracemalloc.start()
    try:
        p = process("head -c 100000000 /dev/zero", keep=0, stdout_handlers=OnBytes(slowly)).run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (seen, p.stdout_size, p.stdout_bytes) == (100 * MEGABYTE, 100 * MEGABYTE, b"")
    assert peak < 30 * MEGABYTE


@pytest.mark.slow
def test_a_hundred_megabytes_of_input(process: Make, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = os.urandom(MEGABYTE) * 100
    p = process("sha256sum", stdin=data).run()
    assert p.stdout.split()[0] == hashlib.sha256(data).hexdigest()


def test_input_that_is_not_read_to_its_end_is_an_error_of_its_own(process: Make) -> None:
    p = process("sleep 0.3", stdin=b"x" * 30_000_000).run(check=False)
    assert (p.exit_code, p.write_failed, p.ok, p.outcome()) == (0, True, False, "input not taken")
    assert process("sleep 0.3", stdin=b"x" * 30_000_000, ignore_write_error=True).run().ok


def test_input_from_a_file(process: Make, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("input") / "data"
    path.write_bytes(bytes(range(256)) * 40_000)
    p = process("cat", stdin=path).run()
    assert p.stdout_bytes == path.read_bytes()


def test_output_comes_as_it_is_written(process: Make, eventually: Eventually) -> None:
    p = process("printf no-newline; read x; printf ' more'").start()
    eventually(lambda: p.stdout == "no-newline")
    assert p.running
    p.write("\n").wait()
    assert p.stdout == "no-newline more"


def test_a_terminal_echoes_and_ends_by_control_d(process: Make, eventually: Eventually) -> None:
    p = process("stty size >/dev/null; echo ready; cat; echo over", pty=True).start()
    eventually(lambda: "ready\r\n" in p.stdout)
    p.write("hello\n")
    eventually(lambda: p.stdout.count("hello\r\n") == 2)  # the echo, and cat
    p.close_stdin().wait()
    assert p.stdout.endswith("over\r\n")
    assert p.exit_code == 0


def test_closed_output_is_not_the_end(process: Make) -> None:
    p = process("exec >&- 2>&-; read x; exit 4").start()
    p.write("now\n").wait()
    assert (p.exit_code, p.stdout) == (4, "")


def test_what_a_daemon_says_before_the_end_is_kept(process: Make, host: Host) -> None:
    # It holds the output for ever, which must not hold up the end.
    p = process("setsid sleep 30 & echo $!", timeout=20).run()
    assert p.ok
    assert p.duration is not None
    assert p.duration < 10
    host.run(f"kill {p.stdout.strip()}", check=False)
