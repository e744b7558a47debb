"""Lease files: whatever happens to their writer, each tells the truth or is not there."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from pytest_execo import Host
from pytest_execo.connectors.host_keys import ACCEPT_NEW, host_keys
from pytest_execo.errors import CampaignError
from pytest_execo.leases import files
from pytest_execo.leases.entries import Entry
from pytest_execo.leases.files import LeaseBook, LeaseFile, default_directory
from pytest_execo.sweeps.stores.owners import Owner


def open_in(book: LeaseBook, **changes: Any) -> LeaseFile:
    return book.open(
        **{"testbed": "t", "site": "s", "options": {}, "campaign": None, "session": "one", "walltime": None, **changes}
    )


@pytest.fixture
def book(tmp_path: Path) -> LeaseBook:
    return LeaseBook(tmp_path / "state" / "leases")


def only(book: LeaseBook) -> Entry:
    (entry,) = book.entries()
    return entry


# what is written


def test_a_file_is_there_before_anything_is_asked_for(book: LeaseBook) -> None:
    file = open_in(book, testbed="grid5000", site="lyon", campaign="c1", walltime=60.0, options={"queue": "default"})
    entry = only(book)
    assert (entry.id, entry.path, entry.testbed, entry.site) == (file.id, file.path, "grid5000", "lyon")
    assert (entry.options, entry.campaign, entry.remains, entry.kept) == ({"queue": "default"}, "c1", None, None)
    assert entry.owner == Owner.current("one")
    assert entry.state == "held"
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert book.directory.stat().st_mode & 0o777 == 0o700


def test_secrets_are_not_written(book: LeaseBook) -> None:
    public = {"uri": "http://127.0.0.1:1/stable", "keyfile": "/k", "host-key": "known", "monkey": "m", "passing": "p"}
    secret = dict.fromkeys(("key", "password", "api-token", "db_secret", "ssh.key", "auth", "API-KEY"), "hush")
    file = open_in(book, options=public | secret)
    assert "hush" not in file.path.read_text()
    assert only(book).options == public
    assert set(only(book).withheld) == set(secret)


def test_how_nodes_are_entered_is_told_without_their_keys(book: LeaseBook, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("PRIVATE")
    first = Host("127.0.0.1", name="a.lyon", user="root", port=22, keyfile=str(key), host_key="ssh-ed25519 AAAA")
    second = Host("b.lyon")
    believed = Host("c.lyon", host_key=ACCEPT_NEW)
    file = open_in(book)
    file.describe([first, second, believed], 12.5)
    assert only(book).nodes == (first, second, believed)
    assert only(book).end == 12.5
    assert "PRIVATE" not in file.path.read_text()
    host_keys.check(believed, "ssh-ed25519 BBBB")
    try:
        file.describe([believed], None)
    finally:
        host_keys.forget([believed])
    assert only(book).nodes[0].host_key == "ssh-ed25519 BBBB"


def test_what_is_remembered_replaces_what_was(book: LeaseBook) -> None:
    file = open_in(book)
    file.remember({"name": "n", "jobs": {}})
    file.remember({"name": "m"})
    assert only(book).remains == {"name": "m"}


def test_what_is_kept_is_kept_whoever_lives(book: LeaseBook) -> None:
    file = open_in(book)
    file.keep("on-failure", 99.0)
    assert (only(book).state, only(book).kept, only(book).end) == ("kept", "on-failure", 99.0)


def test_a_removed_file_stays_removed(book: LeaseBook) -> None:
    file = open_in(book)
    keys = file.path.with_suffix(".keys")
    keys.mkdir()
    for _ in range(2):
        file.remove()
    file.remember({"late": 1})
    assert list(book.directory.iterdir()) == []


def test_threads_lose_nothing(book: LeaseBook) -> None:
    file = open_in(book)
    changes: list[Callable[[], None]] = [
        lambda: file.remember({"n": 1}), lambda: file.describe([Host("a")], 5.0), lambda: file.keep("always"),
    ]  # fmt: skip
    threads = [threading.Thread(target=change) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    entry = only(book)
    assert (entry.remains, entry.nodes, entry.end, entry.kept) == ({"n": 1}, (Host("a"),), 5.0, "always")


@pytest.mark.parametrize("in_the_way", ["a file", "no right"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, in_the_way: str) -> None:
    place = tmp_path / "leases"
    refusal: Any = mock.patch.object(files.os, "open", side_effect=PermissionError(13, "Permission denied"))
    if in_the_way == "a file":
        place.write_text("")
        refusal = mock.MagicMock()
    with refusal, pytest.raises(CampaignError) as raised:
        open_in(LeaseBook(place))
    assert str(place) in str(raised.value)
    assert "XDG_STATE_HOME" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_full_disk_leaves_what_was_there(book: LeaseBook) -> None:
    file = open_in(book)
    file.remember({"n": 1})
    with (
        mock.patch.object(files.os, "fsync", side_effect=OSError(28, "No space left on device")),
        pytest.raises(CampaignError, match="No space left"),
    ):
        file.remember({"n": 2})
    assert only(book).remains == {"n": 1}
    assert [path.name for path in book.directory.iterdir()] == [file.path.name]
    # And it is not remembered later by mistake.
    file.describe([], 1.0)
    assert only(book).remains == {"n": 1}


def test_where_files_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_directory() == LeaseBook().directory == tmp_path / "pytest-execo" / "leases"
    monkeypatch.setenv("HOME", "/home/alice")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        assert default_directory() == Path("/home/alice/.local/state/pytest-execo/leases")


# what is read


def test_no_directory_no_entries(book: LeaseBook) -> None:
    assert book.entries() == []
    book.sweep()


def test_the_oldest_is_first(book: LeaseBook) -> None:
    with mock.patch.object(files.time, "time", side_effect=[30.0, 10.0, 20.0]):
        made = [open_in(book).id for _ in range(3)]
    assert [entry.id for entry in book.entries()] == [made[1], made[2], made[0]]


def _changed(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda content: json.dumps(content | changes).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: json.dumps(content).encode()[:-9],
        lambda content: b"\xff\xfe",
        lambda content: b"[1]",
        lambda content: b"[" * 100_000,
        _changed(schema=2),
        _changed(owner=None),
        _changed(owner={"session": "s", "host": "h", "pid": -1, "started": 0.0, "machine": ""}),
        _changed(owner={"session": "s", "host": "h", "pid": 1e999, "started": 0.0, "machine": ""}),
        _changed(nodes=[{}]),
        _changed(nodes=5),
        _changed(remains=[1]),
        _changed(options={"a": 1}),
        _changed(created_at="yesterday"),
        _changed(end="never"),
    ],
)
def test_what_cannot_be_read_is_an_entry_that_says_so(book: LeaseBook, spoil: Callable[[Any], bytes]) -> None:
    file = open_in(book)
    file.path.write_bytes(spoil(json.loads(file.path.read_text())))
    entry = only(book)
    assert entry.fault
    assert "\n" not in entry.fault
    assert (entry.id, entry.state) == (file.id, "elsewhere")


def test_a_dead_owner_has_abandoned_it_and_one_elsewhere_may_not(book: LeaseBook) -> None:
    file = open_in(book)
    content = json.loads(file.path.read_text())
    # Some other process has our number now.
    file.path.write_text(json.dumps(content | {"owner": content["owner"] | {"started": 1.0}}))
    assert only(book).state == "abandoned"
    file.path.write_text(json.dumps(content | {"owner": content["owner"] | {"host": "another"}}))
    assert only(book).state == "elsewhere"


# giving back


def test_one_at_a_time_may_give_back(book: LeaseBook) -> None:
    open_in(book)
    with book.claimed(only(book)) as first:
        assert first == only(book)
        with pytest.raises(BlockingIOError), book.claimed(only(book)):
            pass
    with book.claimed(only(book)) as again:
        assert again is not None


def test_what_has_gone_meanwhile_is_nothing(book: LeaseBook) -> None:
    file = open_in(book)
    entry = only(book)
    file.remove()
    with book.claimed(entry) as now:
        assert now is None
    book.remove(entry)


def test_a_file_written_anew_while_it_was_opened_is_another_one(book: LeaseBook) -> None:
    file = open_in(book)
    entry = only(book)
    flock = fcntl.flock

    def meanwhile(descriptor: int, how: int) -> None:
        with mock.patch.object(files.fcntl, "flock", flock):
            file.remove()
        flock(descriptor, how)

    with mock.patch.object(files.fcntl, "flock", meanwhile), book.claimed(entry) as now:
        assert now is None


def test_what_is_being_written_is_not_swept_away(book: LeaseBook) -> None:
    file = open_in(book)
    fsync = os.fsync

    def meanwhile(descriptor: int) -> None:
        book.sweep()
        fsync(descriptor)

    with mock.patch.object(files.os, "fsync", meanwhile):
        file.remember({"n": 1})
    assert only(book).remains == {"n": 1}


def test_what_was_swept_away_before_its_lock_is_written_again(book: LeaseBook) -> None:
    file = open_in(book)
    flock, swept = fcntl.flock, []

    def too_late(descriptor: int, how: int) -> None:
        if not swept:
            swept.append(True)
            with mock.patch.object(files.fcntl, "flock", flock):
                book.sweep()
        flock(descriptor, how)

    with mock.patch.object(files.fcntl, "flock", too_late):
        file.remember({"n": 1})
    assert swept
    assert only(book).remains == {"n": 1}


# crashes


class Crash(BaseException):
    """The process is dead from here on."""


class DyingOs:
    """``os`` for a process that is killed at the n-th thing that it does to the disk."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        if name not in ("open", "write", "fsync", "link", "replace", "unlink"):
            return function

        def dying(*arguments: Any, **options: Any) -> Any:
            if self.left is not None:
                self.left -= 1
            if self.dead or (self.left is not None and self.left < 0):
                if name == "write" and not self.dead:
                    os.write(arguments[0], arguments[1][: len(arguments[1]) // 2])
                self.dead = True
                raise Crash
            return function(*arguments, **options)

        return dying


#: After how many things the process is killed; it does seven at most for one call.
DEATHS = st.none() | st.none() | st.integers(0, 7)


class Machine(RuleBasedStateMachine):
    """Leases of one process after the other, each of which may be killed at any moment."""

    handles = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.book = LeaseBook(self.place / "leases")
        self.os = DyingOs()
        self.patch = mock.patch.object(files, "os", self.os)
        self.patch.start()
        #: What the file of each lease may say: (remains, nodes, kept), or None: no file.
        self.may: dict[str, set[tuple[Any, ...] | None]] = {}
        self.process = 0
        #: Which process a handle is of.
        self.owner: dict[str, int] = {}

    def teardown(self) -> None:
        self.patch.stop()
        shutil.rmtree(self.place)

    @rule(target=handles, left=DEATHS)
    def open(self, left: int | None) -> LeaseFile | None:
        self.os.left = left
        before = {entry.id for entry in self.entries()}
        try:
            file = open_in(self.book)
        except Crash:
            self.buried()
            # Nothing was asked for: it does not matter whether there is a file.
            for entry in self.entries():
                if entry.id not in before:
                    self.may[entry.id] = {(None, 0, None)}
            return None
        self.may[file.id] = {(None, 0, None)}
        self.owner[file.id] = self.process
        return file

    @rule(file=handles, left=DEATHS, number=st.integers(0, 9))
    def remember(self, file: LeaseFile | None, left: int | None, number: int) -> None:
        self.do(file, left, lambda f: f.remember({"n": number}), lambda was: (number, was[1], was[2]))

    @rule(file=handles, left=DEATHS, nodes=st.integers(0, 3))
    def describe(self, file: LeaseFile | None, left: int | None, nodes: int) -> None:
        hosts = [Host(f"node-{n}") for n in range(nodes)]
        self.do(file, left, lambda f: f.describe(hosts, 1.0), lambda was: (was[0], nodes, was[2]))

    @rule(file=handles, left=DEATHS, reason=st.sampled_from(["always", "on-failure"]))
    def keep(self, file: LeaseFile | None, left: int | None, reason: str) -> None:
        self.do(file, left, lambda f: f.keep(reason), lambda was: (was[0], was[1], reason))

    @rule(file=handles, left=DEATHS)
    def remove(self, file: LeaseFile | None, left: int | None) -> None:
        self.do(file, left, lambda f: f.remove(), lambda was: None)

    def do(
        self,
        file: LeaseFile | None,
        left: int | None,
        action: Callable[[LeaseFile], None],
        change: Callable[[Any], tuple[Any, ...] | None],
    ) -> None:
        if file is None or self.owner.get(file.id) != self.process:
            return  # of a process that is dead
        self.os.left = left
        was = self.may[file.id]
        then = {None if state is None else change(state) for state in was}
        try:
            action(file)
        except Crash:
            self.buried()
            self.may[file.id] = was | then
        else:
            self.may[file.id] = then

    def buried(self) -> None:
        """The process is dead; the next one begins."""
        self.os.dead, self.os.left = False, None
        self.process += 1

    def entries(self) -> list[Entry]:
        with mock.patch.object(files, "os", os):
            return self.book.entries()

    @invariant()
    def files_tell_the_truth(self) -> None:
        found = {entry.id: entry for entry in self.entries()}
        assert not [entry.fault for entry in found.values() if entry.fault]
        assert found.keys() <= self.may.keys()
        for name, allowed in self.may.items():
            entry = found.get(name)
            remains = None if entry is None or entry.remains is None else entry.remains["n"]
            state = None if entry is None else (remains, len(entry.nodes), entry.kept)
            assert state in allowed
            self.may[name] = {state}

    @invariant()
    def what_was_being_written_is_swept_away(self) -> None:
        with mock.patch.object(files, "os", os):
            self.book.sweep()
        names = {path.name for path in self.book.directory.iterdir()} if self.book.directory.exists() else set()
        assert all(name.endswith(".json") for name in names)


TestCrashes = pytest.mark.slow(Machine.TestCase)
TestCrashes.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
