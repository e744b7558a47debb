"""What is expected is found in the stream, not in the pieces in which it happens to come."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo import Local, Process
from pytest_execo.errors import ExpectFailed, InvalidInput, ProcessError
from pytest_execo.processes import expect as module
from pytest_execo.processes.expect import Expectation, Match, expect_all, expect_any
from pytest_execo.processes.output import Output

MIB = 1024 * 1024
WINDOW = 48
PROCESS: Any = "'make' on node-1"  # messages alone look at it


class Talk:
    """A stream that is fed by the test, and a place in it."""

    def __init__(self, *said: bytes, keep: int = 256 * MIB) -> None:
        self.output = Output(keep)
        self.cursor = Expectation(PROCESS, self.output, "stdout")
        self.say(*said)

    def say(self, *pieces: bytes) -> Talk:
        for piece in pieces:
            self.output.feed(piece)
        return self

    def end(self) -> Talk:
        self.output.close()
        return self

    def expect(self, patterns: Any, **options: Any) -> Match:
        return self.cursor.expect(patterns, **{"timeout": 0, **options})

    def has(self, patterns: Any) -> Match | None:
        try:
            return self.expect(patterns)
        except ExpectFailed:
            return None


# laws


@contextlib.contextmanager
def small() -> Iterator[None]:
    """Have windows so small that short examples get to their ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_WINDOW", WINDOW)
        patch.setattr(module, "_OVERLAP", 24)
        patch.setattr(module, "_CONTEXT", 8)
        yield


words = st.sampled_from([b"a", b"bb", b"=", b"1", b" ", "ä".encode(), "€".encode(), "𝄞".encode(), b"\xff", b"\xc3"])
# No longer than what is searched again: what ends with a line end, and is in one line, is found for sure.
lines = st.lists(words, max_size=5).map(lambda parts: b"".join(parts) + b"\n")
streams = st.lists(lines, max_size=25)
PATTERNS = [r"(\w+)=(\w*)\n", r"^a.*\n", "€\n"]


def cut(data: st.DataObject, came: bytes) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(came)), max_size=12)))
    return [came[start:end] for start, end in zip([0, *cuts], [*cuts, len(came)], strict=True)]


def found(talk: Talk, patterns: Any, pieces: list[bytes]) -> list[tuple[int, str, str, int]]:
    """Expect, again and again, while the pieces come."""
    matches: list[Match] = []
    with small():
        for piece in [*pieces, None]:
            if piece is None:
                talk.end()
            else:
                talk.say(piece)
            while match := talk.has(patterns):
                matches.append(match)
    return [(match.index, match.before, match.text, match.end) for match in matches]


def model(came: bytes) -> list[tuple[int, str, str, int]]:
    """The matches of a search in all of the text at once; as in it, each line is found by one pattern or none."""
    escaped = came.decode("utf-8", "surrogateescape")
    text = re.sub("[\udc80-\udcff]", "\N{REPLACEMENT CHARACTER}", escaped)
    matches, last = [], 0
    while True:
        hits = [
            (hit.start(), index, hit) for index, p in enumerate(PATTERNS) if (hit := re.search(p, text[last:], re.M))
        ]
        if not hits:
            return matches
        start, index, hit = min(hits)
        before = len(escaped[:last].encode("utf-8", "surrogateescape"))
        end = len(escaped[: last + hit.end()].encode("utf-8", "surrogateescape"))
        at = len(escaped[: last + start].encode("utf-8", "surrogateescape"))
        matches.append((index, came[max(before, at - WINDOW) : at].decode("utf-8", "replace"), hit[0], end))
        last += hit.end()


@pytest.mark.slow
@settings(deadline=None)
@given(streams, st.data())
def test_matches_do_not_depend_on_the_pieces(said: list[bytes], data: st.DataObject) -> None:
    came = b"".join(said)
    assert found(Talk(), PATTERNS, cut(data, came)) == model(came)


@pytest.mark.slow
@settings(deadline=None)
@given(streams, st.data())
def test_nor_do_those_of_patterns_for_bytes(said: list[bytes], data: st.DataObject) -> None:
    came = b"".join(said)
    pattern = re.compile(rb"=[^=\n]*\n|\xff+\n")
    ends = [match.end() for match in pattern.finditer(came)]
    assert [end for *_, end in found(Talk(), [pattern], cut(data, came))] == ends


@pytest.mark.slow
@settings(deadline=None)
@given(streams, st.integers(1, 200), st.data())
def test_what_is_found_is_there_whatever_is_dropped(said: list[bytes], keep: int, data: st.DataObject) -> None:
    came = b"".join(said)
    last = 0
    for _, _, text, end in found(Talk(keep=keep), "[^\n]*\n", cut(data, came)):
        assert last < end <= len(came)
        # What follows a gap may be the rest of a character.
        assert came[last:end].decode("utf-8", "replace").endswith(text.lstrip("\N{REPLACEMENT CHARACTER}"))
        assert came[end - 1 : end] == b"\n"
        last = end


# one stream


def test_searches_go_on_behind_each_other() -> None:
    talk = Talk(b"one two three")
    assert [talk.expect(r"\w+ ?").text for _ in range(3)] == ["one ", "two ", "three"]
    assert talk.has(r"\w") is None
    assert talk.cursor.position == 13


def test_the_first_in_the_stream_counts_then_the_first_of_the_list() -> None:
    match = Talk(b"ba").expect(["a", "b"])
    assert (match.index, match.text, match.before, match.end) == (1, "b", "", 1)
    match = Talk(b"xab").expect(["abc", "ab", "a", "xyz"])
    assert (match.index, match.text, match.before) == (1, "ab", "x")


def test_groups_and_positions() -> None:
    match = Talk("ä port=80\n".encode()).expect(r"(?P<what>\w+)=(\d+)\n")
    assert (match.match["what"], match.match[2], match.before, match.end) == ("port", "80", "ä ", 11)


def test_the_place_is_the_beginning_of_the_stream() -> None:
    talk = Talk(b"ab ab\nab")
    talk.expect("a")
    assert talk.expect(r"^b").text == "b"  # it begins there
    assert talk.has("(?<=b) ab\nx") is None
    assert talk.expect(r"(?<!b) ab").text == " ab"  # and nothing is before it
    assert talk.expect("^ab$").end == 8  # the lines of the stream, too


def test_a_compiled_pattern_is_taken_as_it_is() -> None:
    assert Talk(b"x\na").has(re.compile("^a")) is None
    assert Talk(b"x\na").has("^a")
    assert Talk(b"A").has(re.compile("a", re.IGNORECASE))


def test_bytes_and_text_together() -> None:
    talk = Talk(b"\xff\xfe login: ")
    match = talk.expect(["password", re.compile(rb"[\xfe] login")])
    assert (match.index, match.match[0], match.text) == (1, b"\xfe login", "\N{REPLACEMENT CHARACTER} login")
    assert talk.expect(": ").end == 10


def test_a_character_in_two_pieces() -> None:
    talk = Talk(b"pr\xe2\x82")
    assert talk.has("€") is None
    assert talk.has("\N{REPLACEMENT CHARACTER}") is None  # it may become another one
    assert talk.say(b"\xac").expect("€").end == 5
    assert Talk(b"pr\xe2\x82").end().expect("\N{REPLACEMENT CHARACTER}+").end == 4


def test_nothing_matches_before_anything_has_come() -> None:
    assert Talk().has("") is None
    assert Talk().end().has(".*") is None
    assert Talk(b"x").expect("").end == 0


def test_looking_back_over_pieces() -> None:
    talk = Talk(b"a" * 100)
    assert talk.has(r"(?<=aa)b") is None
    assert talk.say(b"b").has(r"(?<=aa)b")


def test_a_match_that_began_long_ago() -> None:
    talk = Talk(b"begin")
    pattern = "begin[^!]*!"
    assert talk.has(pattern) is None
    for _ in range(50):
        assert talk.say(b"-" * 1024).has(pattern) is None
    match = talk.say(b"!").expect(pattern)
    assert len(match.text) == 5 + 50 * 1024 + 1


@pytest.mark.slow
def test_much_output_costs_what_it_is_long() -> None:
    talk = Talk()
    spent = [0.0, 0.0]
    for half in range(2):
        for _ in range(128):
            talk.say(b"x" * 63 + b"\n" + b"y" * (16 * 1024))
            before = time.thread_time()
            assert talk.has("needle\n") is None
            spent[half] += time.thread_time() - before
    # It would be three times as much if all was searched again each time; a machine has its moods.
    assert spent[1] < 2.5 * spent[0] + 0.1
    assert talk.say(b"needle\n").expect("needle\n").before[-1] == "y"


def test_what_is_before_is_bounded() -> None:
    talk = Talk(b"x" * (3 * MIB), b"!")
    assert talk.expect("!").before == "x" * MIB


def test_backtrack() -> None:
    talk = Talk(b"old ready\n")
    with pytest.raises(ExpectFailed):
        talk.expect("ready", backtrack=False)
    assert talk.has("ready") is None  # what was skipped stays so
    assert talk.say(b"ready\n").expect("ready", backtrack=True).end == 15


def test_another_search_in_vain_forgets_nothing() -> None:
    talk = Talk(b"needle, thread")
    assert talk.has("pin") is None
    assert talk.has("needle")
    assert talk.has("pin") is None
    assert talk.say(b", pin").has("pin")


# what is not kept


def test_in_the_head_and_in_the_tail_but_not_over_the_gap() -> None:
    talk = Talk(b"first ", b"-" * 1000, b" last", keep=20)
    assert talk.expect("first -*").end == 10
    assert talk.has("- -") is None
    match = talk.expect(r"(?<!-)-+ last")
    assert (match.text, match.end) == ("-" * 5 + " last", 1011)


def test_a_stream_of_which_nothing_is_kept() -> None:
    with pytest.raises(InvalidInput, match="nothing is kept; give it a keep"):
        Talk(b"x", keep=0).expect("x")


# failures


def test_in_vain() -> None:
    talk = Talk("seen ä".encode())
    with pytest.raises(ExpectFailed) as caught:
        talk.expect(["login: ", re.compile(b"\xff")])
    failure = caught.value
    assert (failure.process, failure.stream, failure.cause, failure.seen) == (PROCESS, "stdout", "timeout", "seen ä")
    assert failure.patterns == ("login: ", "ÿ")
    assert str(failure) == "'make' on node-1: timeout before 'login: ' or 'ÿ' came on stdout; last seen: 'seen ä'"
    with pytest.raises(ExpectFailed, match="end of stream before 'x' came"):
        talk.end().expect("x", timeout=None)
    assert talk.expect("ä").end == 7  # the place has stayed


def test_what_was_seen_is_bounded() -> None:
    with pytest.raises(ExpectFailed) as caught:
        Talk(b"a" * 100_000, b"b").end().expect("x")
    assert caught.value.seen == "a" * 65535 + "b"
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        ("(", r"'\(' is not a regular expression: "),
        ([], r"\[\]; give a regular expression"),
        (b"x", "b'x'; give a regular expression"),
        (3, "3; give"),
        (["x", None], "None is neither text nor a compiled"),
    ],
)
def test_what_is_no_pattern(patterns: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=f"^patterns: {words}"):
        Talk(b"x").expect(patterns)


# waiting


@pytest.fixture
def later() -> Iterator[Callable[..., None]]:
    """Do something in another thread, once this one waits for any of some outputs."""
    threads: list[threading.Thread] = []

    def do(output: Output, act: Callable[[], object]) -> None:
        def wait_and_act() -> None:
            deadline = time.monotonic() + 10
            while not output._waking and time.monotonic() < deadline:
                time.sleep(0.001)
            act()

        threads.append(threading.Thread(target=wait_and_act))
        threads[-1].start()

    yield do
    for thread in threads:
        thread.join(10)


def test_it_waits_for_what_comes(later: Callable[..., None]) -> None:
    talk = Talk(b"begun ")
    later(talk.output, lambda: talk.say(b"not yet ", b"rea", b"dy\n"))
    assert talk.expect("ready\n", timeout=None).before == "begun not yet "
    assert talk.output._waking == ()


def test_it_waits_for_the_end(later: Callable[..., None]) -> None:
    talk = Talk(b"ab\xc3")
    later(talk.output, talk.end)
    assert talk.expect("\N{REPLACEMENT CHARACTER}", timeout=None).end == 3
    talk = Talk(b"ab")
    later(talk.output, talk.end)
    with pytest.raises(ExpectFailed, match="end of stream"):
        talk.expect("x", timeout=None)


def test_it_waits_for_so_long() -> None:
    talk = Talk(b"x")
    before = time.monotonic()
    with pytest.raises(ExpectFailed, match="timeout"):
        talk.expect("y", timeout=0.05)
    assert 0.05 <= time.monotonic() - before < 5
    with pytest.raises(ExpectFailed, match="timeout"):
        talk.expect("y", timeout=-1)


# several streams


def test_any_of_several(later: Callable[..., None]) -> None:
    talks = [Talk(b"a"), Talk(b"b"), Talk(b"c")]
    cursors = [talk.cursor for talk in talks]
    index, match = expect_any(cursors, ["x", "b", "c"], timeout=0)
    assert (index, match.index, [cursor.position for cursor in cursors]) == (1, 1, [0, 1, 0])
    later(talks[2].output, lambda: talks[2].say(b"!"))
    assert expect_any(cursors, "!", timeout=10)[0] == 2
    talks[0].end()
    talks[1].end()
    later(talks[2].output, talks[2].end)
    with pytest.raises(ExpectFailed, match="end of stream") as caught:
        expect_any(cursors, "never")
    assert caught.value.__notes__ == ["nor on any other of 3 streams"]
    with pytest.raises(InvalidInput, match="nothing to expect anything of"):
        expect_any([], "x")


def test_all_of_several(later: Callable[..., None]) -> None:
    talks = [Talk(b"ready 1\n"), Talk(b"ready"), Talk(b"failed\n").end()]
    cursors = [talk.cursor for talk in talks]
    later(talks[1].output, lambda: talks[1].say(b" 2\n"))
    matches = expect_all(cursors, r"ready (\d)\n", timeout=10)
    assert [match and match.match[1] for match in matches] == ["1", "2", None]
    assert [cursor.position for cursor in cursors] == [8, 8, 0]
    assert expect_all(cursors, "x", timeout=0.01) == [None] * 3
    assert expect_all([], "x") == []


def test_several_places_in_one_stream() -> None:
    talk = Talk(b"a b")
    other = Expectation(PROCESS, talk.output, "stdout", position=1)
    assert talk.expect(r"\w").text == "a"
    assert other.expect(r"\w", timeout=0).text == "b"


# of processes


def test_of_a_process() -> None:
    with Process("echo err >&2; echo out; read x; echo got $x; exec cat") as p:
        first = p.expect(r"^(\w+)\n", timeout=10)
        assert first is not None
        assert first.match[1] == "out"
        assert p.expect("err\n", stream="stderr", timeout="10s")
        p.write("it\n")
        assert p.expect(["nothing", "got it\n"], timeout=10)
        assert p.expect("more", timeout=0, check=False) is None
        assert (p.expect_failed, p.ok) == (True, False)
        with pytest.raises(InvalidInput, match="'stdin'; there are"):
            p.expect("x", stream="stdin")  # type: ignore[arg-type]
    with pytest.raises(ProcessError, match=r"expect\(\) before start"):
        Process("true").expect("x")


def test_in_vain_and_not_to_be_an_error() -> None:
    p = Process("echo x", ignore_expect_fail=True).run()
    assert p.expect("y") is None
    assert p.ok
    p = Process("echo x", log=False).run()
    with pytest.raises(ExpectFailed, match=r"^'echo x': end of stream before 'y' came on stdout; last seen: 'x\\n'$"):
        p.expect("y")
    assert p.outcome() == "not as expected"


def test_of_a_group() -> None:
    group = Local(["echo ready 1; read x", "echo ready 2; read x", "echo no; read x"])
    for p in group:
        p.log = False
    with group:
        with pytest.raises(ExpectFailed) as caught:
            group.expect("ready .\n", timeout=0.2)
        assert caught.value.process is group[2]
        assert [p.expect_failed for p in group] == [False, False, True]
    matches = [p.expect("ready .\n", timeout=0, check=False) for p in group]
    assert matches == [None] * 3  # the place is behind what the group has seen


def test_two_threads_expect_of_two_streams() -> None:
    with Process("while read x; do echo out $x; echo err $x >&2; done") as p:
        found: dict[str, list[str]] = {"stdout": [], "stderr": []}

        def follow(stream: Any) -> None:
            for _ in range(20):
                match = p.expect(r"\d+\n", stream=stream, timeout=10)
                assert match is not None
                found[stream].append(match.text)

        threads = [threading.Thread(target=follow, args=(stream,)) for stream in found]
        for thread in threads:
            thread.start()
        for number in range(20):
            p.write(f"{number}\n")
        for thread in threads:
            thread.join(20)
        numbers = [f"{number}\n" for number in range(20)]
        assert found == {"stdout": numbers, "stderr": numbers}
