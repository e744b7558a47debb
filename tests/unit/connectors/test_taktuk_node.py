"""One host of a tree and its commands, with a tree that only writes down what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pytest_execo.connectors.contract import Command, End, Stream
from pytest_execo.connectors.taktuk.lines import PIECE, Said, payload
from pytest_execo.connectors.taktuk.multicast import Multicast, by_tree
from pytest_execo.connectors.taktuk.node import Node
from pytest_execo.connectors.taktuk.session import CREDIT, Session
from pytest_execo.errors import ConnectionFailed, ConnectionLost, StartFailed
from pytest_execo.hosts import Host

pytestmark = pytest.mark.asyncio


class Notes:
    """A tree."""

    def __init__(self) -> None:
        self.told: list[tuple[list[int], str]] = []

    def tell(self, ranks: Sequence[int], line: str) -> None:
        self.told.append((list(ranks), line))

    def settled(self) -> None:
        """Nothing ends here."""

    def lines(self) -> list[str]:
        said, self.told = [line for _, line in self.told], []
        return said


class Heard:
    """A receiver."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.output: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}
        self.end: End | None = None

    def started(self, pid: int | None) -> None:
        self.pid = pid

    def received(self, stream: Stream, data: bytes) -> None:
        self.output[stream] += data

    def ended(self, end: End) -> None:
        assert self.end is None
        self.end = end


def joined(tree: Notes, rank: int = 1) -> Node:
    node = Node(Host(f"h{rank}"), "dumb", lambda host: joined(tree, rank))
    node.join(tree)
    node.numbered(rank)
    return node


def hear(node: Node, *lines: bytes) -> None:
    for line in lines:
        node.heard(Said("o", 1, line))


def started(node: Node) -> tuple[Session, Heard]:
    heard = Heard()
    session = node.add(Command(line="x"), heard)
    hear(node, b"s %d 4711" % session.number)
    return session, heard


async def test_the_life_of_a_command() -> None:
    node = joined(Notes())
    session, heard = started(node)
    await session.begun()
    hear(node, b"o 1 b3V0", b"r 1 ZXJy", b"e 1 768 0")
    assert (heard.pid, heard.output) == (4711, {"stdout": b"out", "stderr": b"err"})
    assert heard.end == End(exit_code=3)
    assert not node.is_busy


async def test_a_signal_is_told_from_an_exit_code() -> None:
    node = joined(Notes())
    _, heard = started(node)
    hear(node, b"e 1 137 0")  # 9, and a core
    assert heard.end == End(signal=9)


async def test_lines_that_come_in_pieces() -> None:
    node = joined(Notes())
    _, heard = started(node)
    node.heard(Said("o", 1, b"o 1 b3", whole=False))
    node.heard(Said("o", 1, b"V0"))
    assert heard.output["stdout"] == b"out"


async def test_what_did_not_start() -> None:
    node = joined(Notes())
    session = node.add(Command(line="x", cwd="/no"), Heard())
    hear(node, b"n 1 directory Tm8=")
    with pytest.raises(StartFailed, match="no directory /no"):
        await session.begun()


async def test_nothing_is_sent_before_the_tree_is_complete() -> None:
    tree = Notes()
    node = Node(Host("h"), "dumb", lambda host: node)
    session = node.add(Command(line="x"), Heard())
    node.join(tree)
    assert [line.split()[:3] for line in node.first_lines()] == [["s", "1", "l"]]
    node.heard(Said("o", 1, b"s 1 4711"))
    session.write(b"in")
    assert (tree.told, node.has_unsent, node.place) == ([], True, None)
    node.numbered(5)
    assert tree.told == [([5], "i 1 aW4=")]
    assert node.place == (tree, 5)


async def test_input_waits_for_the_command_to_take_it() -> None:
    tree = Notes()
    node = joined(tree)
    session, _ = started(node)
    tree.lines()
    session.write(b"x" * (4 << 20))
    session.close_stdin()
    draining = asyncio.ensure_future(session.drain())
    sent, ended = 0, False
    while not ended:
        lines = tree.lines()
        assert lines, "it stopped"
        ended = lines[-1] == "e 1"
        step = sum(len(payload(line.split()[2].encode())) for line in lines if line.startswith("i"))
        assert step < 1 << 20
        sent += step
        await asyncio.sleep(0)
        assert draining.done() is (sent > 3 << 20)
        hear(node, b"w 1 %d" % sent)
    assert sent == 4 << 20
    await draining


async def test_output_is_let_go_on_when_it_was_taken() -> None:
    tree = Notes()
    node = joined(tree)
    session, _ = started(node)
    tree.lines()
    session.pause_reading()
    session.received("stdout", b"x" * (2 << 20))
    assert tree.lines() == []
    session.resume_reading()
    assert tree.lines() == [f"g 1 {(2 << 20) + CREDIT}"]


async def test_questions_have_answers() -> None:
    tree = Notes()
    node = joined(tree)
    session, _ = started(node)
    tree.lines()
    asking = asyncio.ensure_future(session.alive())
    await asyncio.sleep(0)
    assert node.is_busy
    (line,) = tree.lines()
    kind, number, pid = line.split()
    assert (kind, pid) == ("a", "4711")
    hear(node, f"a {number} 1".encode())
    assert await asking is True


async def test_one_that_is_given_up_is_ended_when_it_starts() -> None:
    tree = Notes()
    node = joined(tree)
    heard = Heard()
    session = node.add(Command(line="x"), heard)
    tree.lines()
    session.give_up()
    hear(node, b"s 1 4711")
    assert tree.lines() == [f"k 0 9 4711 {session.mark}", "x 1"]
    assert heard.pid is None


async def test_a_host_that_is_lost() -> None:
    node = joined(Notes())
    session, heard = started(node)
    waiting = node.add(Command(line="y"), Heard())
    node.fail(ConnectionLost("h", "gone"))
    assert isinstance(heard.end and heard.end.error, ConnectionLost)
    with pytest.raises(ConnectionLost):
        await waiting.begun()
    assert session.over
    assert (node.is_over, node.has_room, node.place) == (True, False, None)


async def test_a_host_that_was_never_reached() -> None:
    node = joined(Notes())
    session = node.add(Command(line="x"), Heard())
    node.noted("ssh: connect to host h port 22: No route to host")
    node.fail(ConnectionFailed("h", node.why()))
    with pytest.raises(ConnectionFailed, match="No route to host"):
        await session.begun()


# the same input for several


async def test_a_multicast_is_one_line_for_all() -> None:
    tree = Notes()
    nodes = [joined(tree, rank) for rank in (1, 2, 3)]
    sessions = [started(node)[0] for node in nodes]
    assert by_tree(sessions) == [sessions]
    tree.told.clear()
    multicast = Multicast(sessions, lambda session, sent: None)
    joins = [line for _, line in tree.told]
    assert [line.split()[:2] for line in joins] == [["j", "1"]] * 3
    tree.told.clear()
    await multicast.send(b"x" * (PIECE + 1))
    assert [ranks for ranks, _ in tree.told] == [[1, 2, 3]] * 2
    sessions[1].fail(ConnectionLost("h2", "gone"))
    await multicast.send(b"y")
    assert tree.told[-1] == ([1, 3], f"b {joins[0].split()[2]} eQ==")


async def test_a_multicast_lets_go_of_the_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_execo.connectors.taktuk.multicast._PATIENCE", 0.02)
    monkeypatch.setattr("pytest_execo.connectors.taktuk.multicast._WINDOW", 2 * PIECE)
    tree = Notes()
    nodes = [joined(tree, rank) for rank in (1, 2)]
    fast, slow = (started(node)[0] for node in nodes)
    late: list[tuple[Session, int]] = []
    multicast = Multicast([fast, slow], lambda session, sent: late.append((session, sent)))
    for number in range(1, 6):
        await multicast.send(b"x" * PIECE)
        fast.taken(number * PIECE)
    assert late == [(slow, 2 * PIECE)]
    assert multicast.sessions == [fast]
