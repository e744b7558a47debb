from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_execo.sweeps import Owner


def owner_of(pid: int) -> Owner:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return dataclasses.replace(Owner.current("s"), pid=pid, started=float(stat[stat.rfind(")") + 2 :].split()[19]))


def test_this_process_lives() -> None:
    owner = Owner.current("s")
    assert owner.pid == os.getpid()
    assert owner.is_dead() is False


def test_a_process_that_ended_is_dead() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        owner = owner_of(process.pid)
        without_proc = dataclasses.replace(owner, started=0.0)
        assert owner.is_dead() is False
        assert without_proc.is_dead() is False
    assert owner.is_dead() is True
    assert without_proc.is_dead() is True


def test_a_zombie_is_dead() -> None:
    code = "import os,sys; sys.stdout.write('x')"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        owner = owner_of(process.pid)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has read its exit code
        assert owner.is_dead() is True


def test_a_later_process_with_the_same_pid_is_not_the_owner() -> None:
    assert dataclasses.replace(Owner.current("s"), started=1.0).is_dead() is True


def test_of_another_host_nothing_is_known() -> None:
    assert dataclasses.replace(Owner.current("s"), host="another").is_dead() is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may signal every process")
def test_somebody_elses_process_lives() -> None:
    assert dataclasses.replace(Owner.current("s"), pid=1, started=0.0).is_dead() is False


def test_of_another_machine_with_the_same_name_nothing_is_known() -> None:
    me = Owner.current("s")
    boot, _, namespace = me.machine.partition("/")
    assert boot
    assert namespace
    for machine in ("", f"another-boot/{namespace}", f"{boot}/4026531836000"):
        assert dataclasses.replace(me, machine=machine).is_dead() is None


def test_a_process_that_proc_hides_may_live(monkeypatch: pytest.MonkeyPatch) -> None:
    me = Owner.current("s")
    monkeypatch.setattr("pytest_execo.sweeps.stores.owners._started", lambda pid: None)  # as hidepid does
    assert me.is_dead() is None
    assert dataclasses.replace(me, pid=2**22 + 1).is_dead() is True


def test_the_record_file_does_not_tell_owners_apart() -> None:
    assert Owner.current("s", records="/a.jsonl") == Owner.current("s")
