"""What only the store in PostgreSQL does: many campaigns, the server's time, lost connections, errors that help."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_execo.errors import CheckpointError
from pytest_execo.sweeps import Attempt, CheckpointStore, Claim, Owner, Planned, PostgresStore, State, open_store
from pytest_execo.sweeps.stores import postgres as connections
from pytest_execo.sweeps.stores.campaigns import find_shared, join_campaign
from pytest_execo.units import iso_date
from tests.integration.postgres import PASSWORD, PostgresServer
from tests.integration.sweeps.cutting_proxy import CuttingProxy

pytestmark = pytest.mark.integration

HERE = Owner.current("here")
OTHER = Owner.current("other")
AWAY = Owner("away", "another-host", 1, 1.0, "another-machine")


def plan(store: CheckpointStore, trials: str) -> None:
    store.plan(Planned(trial, "test") for trial in trials)


def passed(trial: str, attempt: int = 1) -> Attempt:
    return Attempt(trial, "passed", attempt, f"2026-01-01T00:00:{attempt:02}.000000Z")


def taken(claim: Claim | None) -> str | None:
    return None if claim is None else claim.trial


def psql(url: str) -> Any:
    import psycopg

    return psycopg.connect(url, autocommit=True)


# what is in a database


def test_campaigns_in_one_database_know_nothing_of_each_other(postgres: str) -> None:
    with (
        PostgresStore(postgres, campaign="c1") as one,
        PostgresStore(postgres, campaign="Another campaign: « é »") as two,
    ):
        plan(one, "ab")
        plan(two, "a")
        assert [taken(one.claim(HERE)), taken(two.claim(HERE))] == ["a", "a"]
        one.finish(HERE, passed("a"))
        assert two.look("a")["a"].state is State.CLAIMED


def test_the_tables_are_made_once_by_whoever_is_first(postgres: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: PostgresStore(postgres, campaign="c1"), range(8)))
    plan(stores[0], "a")
    assert taken(stores[7].claim(HERE)) == "a"
    for store in stores:
        store.close()


def test_a_schema_that_an_administrator_made_is_used(postgres: str) -> None:
    with psql(postgres) as connection:
        connection.execute("CREATE SCHEMA execo_c1")
    with PostgresStore(postgres, campaign="c1") as store:
        assert store.stats()[State.TODO] == 0


@pytest.mark.parametrize("version", [1, 7])
def test_another_version_is_refused(postgres: str, version: int) -> None:
    PostgresStore(postgres, campaign="c1").close()
    with psql(postgres) as connection:
        connection.execute(f"UPDATE execo_c1.version SET version = {version}")
    with pytest.raises(CheckpointError, match=f"schema execo_c1 is a checkpoint store of version {version}, not 2"):
        PostgresStore(postgres, campaign="c1")


def test_open_store_takes_both_spellings_of_the_scheme(postgres: str) -> None:
    for url in (postgres, postgres.replace("postgresql://", "postgres://")):
        with open_store(url, campaign="c1") as store:
            assert isinstance(store, PostgresStore)


# time


def test_heartbeats_carry_the_time_of_the_server(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with PostgresStore(postgres, campaign="c1") as store:
        store.heartbeat(HERE)
        (holder,) = store.holders()
    assert abs(holder.heartbeat - now) < 60


def test_what_a_server_did_not_hear_while_it_was_down_is_no_sign_of_death(postgres: str) -> None:
    with PostgresStore(postgres, campaign="c1") as store:
        plan(store, "a")
        store.claim(AWAY)
        with psql(postgres) as connection:
            connection.execute("UPDATE execo_c1.owners SET heartbeat = heartbeat - 3600")
            # As if the server had just been started; and then as if that were long ago.
            store._server_started = time.time()
            assert store.claim(HERE) is None
            store._server_started = 0.0
            assert store.claim(HERE) == Claim("a", 1, AWAY)


# locks


def test_a_trial_that_somebody_is_taking_is_passed_over_and_not_waited_for(postgres: str) -> None:
    with PostgresStore(postgres, campaign="c1") as store, psql(postgres) as rival:
        plan(store, "ab")
        with rival.transaction():
            rival.execute("SELECT FROM execo_c1.trials WHERE id = 'a' FOR UPDATE")
            assert taken(store.claim(HERE)) == "b"
            assert store.claim(HERE) is None
        assert taken(store.claim(HERE)) == "a"


def test_no_lock_is_waited_for_without_end(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_STATEMENT_TIMEOUT", 0.05)
    with PostgresStore(postgres, campaign="c1") as store, psql(postgres) as rival:
        plan(store, "ab")
        with rival.transaction():
            rival.execute("SELECT FROM execo_c1.trials WHERE id = 'a' FOR UPDATE")
            with pytest.raises(CheckpointError, match=r"timeout; (another run holds the lock|no answer within 0.05 s)"):
                store.claim(HERE, "a")
        assert taken(store.claim(HERE, "a")) == "a"


@pytest.mark.slow
def test_a_transaction_that_lost_a_deadlock_is_made_again(postgres: str) -> None:
    with PostgresStore(postgres, campaign="c1") as store, psql(postgres) as rival, ThreadPoolExecutor(1) as pool:
        plan(store, "ab")
        # Who has waited for a second looks for deadlocks, and gives way: the store, not its rival.
        rival.execute("SET deadlock_timeout = '60s'")
        with rival.transaction():
            rival.execute("SELECT FROM execo_c1.trials WHERE id = 'b' FOR UPDATE")
            ingested = pool.submit(store.ingest, [passed("a"), passed("b")], source="f", position=1)
            rival.execute(_UNTIL_IT_WAITS)
            rival.execute("UPDATE execo_c1.trials SET test = 'rival' WHERE id = 'a'")
        ingested.result(timeout=30)
        assert store.stats()[State.PASSED] == 2


_UNTIL_IT_WAITS = """DO $$ BEGIN
    FOR i IN 1..1000 LOOP
        EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE NOT granted);
        PERFORM pg_sleep(0.005);
    END LOOP;
END $$"""


# lost connections


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Any:
    with CuttingProxy(postgres_server.port) as proxy:
        yield proxy


@pytest.fixture
def cut(postgres: str, postgres_server: PostgresServer, proxy: CuttingProxy) -> Any:
    """A store of the trials a, b and c whose connection can be cut."""
    url = postgres.replace(f":{postgres_server.port}/", f":{proxy.port}/")
    with PostgresStore(url, campaign="c1") as store:
        plan(store, "abc")
        yield store


@pytest.mark.parametrize("trial", [None, "a"])
@pytest.mark.parametrize("answered", [True, False], ids=["answer lost", "never came"])
def test_a_claim_that_was_cut_off_is_ours_or_nobodys(
    cut: PostgresStore, proxy: CuttingProxy, trial: str | None, answered: bool
) -> None:
    cut.claim(HERE, "c")
    proxy.cut_at(b"COMMIT", forward=answered)
    assert cut.claim(HERE, trial) == Claim("a", 1)
    assert proxy.cuts == 1
    assert {known.trial for known, seen in cut.trials() if seen.state is State.CLAIMED} == {"a", "c"}
    (holder,) = cut.holders()
    assert holder.claims == 2


def test_a_claim_that_was_cut_off_keeps_whom_it_inherits_from(cut: PostgresStore, proxy: CuttingProxy) -> None:
    gone = dataclasses.replace(HERE, session="gone", started=1.0)
    cut.claim(gone)
    proxy.cut_at(b"COMMIT", forward=True)
    assert cut.claim(HERE) == Claim("a", 1, gone)


@pytest.mark.parametrize("answered", [True, False], ids=["answer lost", "never came"])
def test_an_outcome_that_was_cut_off_counts_once(cut: PostgresStore, proxy: CuttingProxy, answered: bool) -> None:
    cut.claim(HERE)
    proxy.cut_at(b"COMMIT", forward=answered)
    assert cut.finish(HERE, passed("a")) is True
    assert proxy.cuts == 1
    assert cut.attempts("a") == [passed("a")]
    assert cut.look("a")["a"].state is State.PASSED


def test_an_outcome_that_was_cut_off_after_the_claim_was_lost_says_so(cut: PostgresStore, proxy: CuttingProxy) -> None:
    cut.claim(HERE)
    cut.release(HERE)
    cut.claim(OTHER)
    proxy.cut_at(b"COMMIT", forward=True)
    assert cut.finish(HERE, passed("a")) is False
    assert cut.look("a")["a"].state is State.CLAIMED


@pytest.mark.parametrize("answered", [True, False], ids=["answer lost", "never came"])
def test_what_is_written_twice_counts_once(cut: PostgresStore, proxy: CuttingProxy, answered: bool) -> None:
    asked: list[Callable[[], object]] = [
        lambda: plan(cut, "cd"),
        lambda: cut.ingest([passed("a")], source="f", position=5),
        lambda: cut.heartbeat(HERE),
        lambda: cut.reopen("b"),
        lambda: cut.stats(),
    ]
    for ask in asked:
        proxy.cut_at(b"COMMIT", forward=answered)
        ask()
    assert proxy.cuts == len(asked)
    assert [one.trial for one, _ in cut.trials()] == ["a", "b", "c", "d"]
    assert cut.attempts("a") == [passed("a")]
    assert cut.positions() == {"f": 5}


def test_a_connection_that_the_server_ended_is_opened_again(postgres: str) -> None:
    with PostgresStore(postgres, campaign="c1") as store, psql(postgres) as rival:
        plan(store, "ab")
        for expected in "ab":
            rival.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            assert taken(store.claim(HERE)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_a_server_that_restarts_in_mid_run_costs_nothing(
    postgres_server: PostgresServer, postgres: str, crash: bool, eventually: Callable[..., None]
) -> None:
    done: list[str] = []
    names = [f"t{number}" for number in range(400)]

    def work(owner: Owner) -> None:
        with PostgresStore(postgres, campaign="c1") as store:
            while claim := store.claim(owner):
                assert store.finish(owner, passed(claim.trial, claim.attempt))
                done.append(claim.trial)

    with PostgresStore(postgres, campaign="c1") as store:
        store.plan(Planned(name) for name in names)
        with ThreadPoolExecutor(2) as pool:
            workers = [pool.submit(work, owner) for owner in (HERE, OTHER)]
            for count in (20, 120):
                eventually(lambda count=count: len(done) >= count)  # type: ignore[misc]
                postgres_server.stop(crash=crash)
                postgres_server.start()
            for worker in workers:
                worker.result(timeout=60)
        assert sorted(done) == sorted(names)
        assert store.stats()[State.PASSED] == 400
        assert store.ended() == 400


# processes


def _work(url: str, name: str, ready: Any) -> None:
    owner = Owner.current(name)
    with PostgresStore(url, campaign="c1") as store:
        if ready is not None:
            ready.wait(60)
        while claim := store.claim(owner):
            time.sleep(0.001)  # the work, in which it may be killed
            ended = iso_date(time.time())
            store.finish(owner, Attempt(claim.trial, "passed", claim.attempt, ended, session=name))


@pytest.mark.slow
def test_processes_that_are_killed_and_replaced_do_all_trials_once(
    postgres: str, eventually: Callable[..., None]
) -> None:
    context = multiprocessing.get_context("spawn")
    with PostgresStore(postgres, campaign="c1") as store:
        store.plan(Planned(f"t{number}") for number in range(200))
        ready = context.Barrier(2)
        workers = [context.Process(target=_work, args=(postgres, f"w{number}", ready)) for number in range(2)]
        for worker in workers:
            worker.start()
        for killed, count in enumerate((20, 60)):
            eventually(lambda count=count: store.ended() >= count, timeout=60)  # type: ignore[misc]
            assert workers[killed].pid is not None
            os.kill(workers[killed].pid, signal.SIGKILL)  # type: ignore[arg-type]  # as asserted
            workers.append(context.Process(target=_work, args=(postgres, f"later{killed}", None)))
            workers[-1].start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [-signal.SIGKILL, -signal.SIGKILL, 0, 0]
        assert store.stats() == {**dict.fromkeys(State, 0), State.PASSED: 200}
        assert [len(store.attempts(f"t{number}")) for number in range(200)] == [1] * 200


# errors


def _refused(url: str) -> str:
    with pytest.raises(CheckpointError) as caught:
        PostgresStore(url, campaign="c1").close()
    message = str(caught.value)
    assert "\n" not in message
    assert PASSWORD not in message
    assert "s3cret" not in message
    assert caught.value.__cause__ is None  # which would print what it says
    return message


def test_a_server_that_is_not_there(closed: Any) -> None:
    message = _refused(f"postgresql://me:s3cret@127.0.0.1:{closed.port}/x")
    assert message.startswith(f"postgresql://me@127.0.0.1:{closed.port}/x: ")
    assert message.endswith("Connection refused; is the server up, and the address right?")


def test_a_host_that_has_several_addresses(closed: Any) -> None:
    assert "Connection refused; is" in _refused(f"postgresql://localhost:{closed.port},127.0.0.1:{closed.port}/x")


def test_a_wrong_password(postgres_server: PostgresServer) -> None:
    message = _refused(postgres_server.url(password="s3cret/@:wrong"))
    assert 'password authentication failed for user "owner"; is it the right one?' in message


def test_a_database_that_is_not_there(postgres_server: PostgresServer) -> None:
    message = _refused(postgres_server.url("nowhere"))
    assert message.endswith('database "nowhere" does not exist; createdb and createuser make databases and users')


@pytest.fixture
def guest(postgres_server: PostgresServer, postgres: str) -> Any:
    """The URL of a user who may do nothing but connect."""
    name = postgres.rpartition("/")[2]
    postgres_server.execute("CREATE ROLE guest LOGIN PASSWORD 's3cret'")
    yield postgres_server.url(name, user="guest", password="s3cret")
    postgres_server.execute("DROP OWNED BY guest; DROP ROLE guest", database=name)


def test_a_user_who_may_not_make_tables(guest: str) -> None:
    assert "permission denied for database" in _refused(guest)
    assert "GRANT CREATE ON DATABASE" in _refused(guest)
    with pytest.raises(CheckpointError, match="GRANT CREATE ON DATABASE"):
        join_campaign(guest, testbed="t", site="s", name=None, fresh=False, proposal=proposal("c1"))


def test_a_user_who_may_is_let_in(guest: str, postgres_server: PostgresServer, postgres: str) -> None:
    name = postgres.rpartition("/")[2]
    postgres_server.execute(f"GRANT CREATE ON DATABASE {name} TO guest")
    with PostgresStore(guest, campaign="c1") as store:
        plan(store, "a")
        assert taken(store.claim(HERE)) == "a"
    # What another user made is that user's.
    PostgresStore(postgres, campaign="c2").close()
    with pytest.raises(CheckpointError, match=r"permission denied for schema execo_c2; all who share a campaign need"):
        PostgresStore(guest, campaign="c2")


def test_a_standby(postgres: str) -> None:
    assert "it is a standby" in _refused(f"{postgres}?options=-cdefault_transaction_read_only%3Don")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@[::1/x",
        "postgresql://me:s3cret@h/x?nonsense=1",
        "postgresql://h/x?password=s3cret&nonsense=1",
        "postgresql://me:s3cret%2@h/x",
    ],
)
def test_what_is_no_url_is_refused_without_the_password(url: str) -> None:
    assert "not a URL that PostgreSQL knows; write postgresql://" in _refused(url)


def test_a_password_that_is_not_escaped_is_not_shown(closed: Any) -> None:
    # A host "me" with a port "s3cret", says the standard.
    assert _refused(f"postgresql://me:s3cret/x@127.0.0.1:{closed.port}/x").startswith("postgresql://me@127.0.0.1:")


def test_psycopg_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(CheckpointError) as caught:
        PostgresStore("postgresql://me:s3cret@h/x", campaign="c1")
    assert str(caught.value) == "postgresql://me@h/x: psycopg is missing: pip install 'pytest-execo[postgres]'"


def test_no_password_is_shown_anywhere(
    postgres: str, caplog: pytest.LogCaptureFixture, postgres_server: PostgresServer
) -> None:
    shown = f"postgresql://owner@127.0.0.1:{postgres_server.port}/{postgres.rpartition('/')[2]}"
    with caplog.at_level(logging.DEBUG), PostgresStore(postgres, campaign="c1") as store:
        assert store.where == shown
        assert repr(store) == f"<PostgresStore {shown}>"
        plan(store, "a")
        store.claim(dataclasses.replace(HERE, started=1.0))
        store.claim(HERE)
        with pytest.raises(CheckpointError) as caught:
            store.claim(HERE, "?")
    assert str(caught.value) == f"{shown}: trial ? was not planned; call plan() first"
    assert repr(store) == f"<PostgresStore {shown} closed>"
    assert "1 claims of a dead session" in caplog.text
    assert "s3cret" not in caplog.text


# campaigns of several machines


def proposal(name: str) -> dict[str, Any]:
    return {"id": name, "name": f"the {name}", "seed": 2**70, "created_at": "2026-01-01T00:00:00Z"}


def join(url: str, id: str, *, site: str = "lyon", name: str | None = None, **how: bool) -> str:
    how = {"fresh": False, **how}
    found = join_campaign(url, testbed="t", site=site, name=name, proposal=proposal(id), **how)
    assert found == {**proposal(found["id"]), "testbed": "t", "site": site}
    return str(found["id"])


def test_all_who_join_at_once_agree(postgres: str) -> None:
    names = [f"c{number}" for number in range(8)]
    barrier = threading.Barrier(8)

    def go(name: str) -> str:
        barrier.wait(30)
        return join(postgres, name)

    with ThreadPoolExecutor(8) as pool:
        joined = list(pool.map(go, names))
    assert len(set(joined)) == 1
    assert joined[0] in names


def test_the_last_campaign_of_the_site_is_joined_or_that_of_the_name(postgres: str) -> None:
    assert find_shared(postgres, testbed="t", site="lyon", name=None) is None
    assert join(postgres, "c1") == "c1"
    assert join(postgres, "c2") == "c1"
    assert join(postgres, "c2", fresh=True) == "c2"
    assert join(postgres, "c3") == "c2"
    assert join(postgres, "c3", name="the c1") == "c1"
    assert join(postgres, "c3", name="the c3") == "c3"
    assert join(postgres, "c4", site="nancy") == "c4"
    for name, expected in ((None, "c3"), ("the c1", "c1")):
        assert find_shared(postgres, testbed="t", site="lyon", name=name) == {
            **proposal(expected),
            "testbed": "t",
            "site": "lyon",
        }
    assert find_shared(postgres, testbed="another", site="lyon", name=None) is None


def test_a_campaign_that_is_on_disk_stays_what_it_is(postgres: str) -> None:
    for _ in range(2):
        assert join(postgres, "c1", known=True) == "c1"
        assert join(postgres, "c2", known=True) == "c2"
    assert join(postgres, "c3") == "c2"
