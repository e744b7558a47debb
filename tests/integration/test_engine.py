"""Experiments as scripts: the same campaigns, records and rules of blame as under pytest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_execo.emulator.embedded import EmbeddedMachines
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer
from pytest_execo.emulator.testbed import DEFAULT_ACCOUNT

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

SCRIPT = """
    import os, signal, sys, time
    from pathlib import Path
    from pytest_execo import Engine, Local, Process, Space

    def note(text):
        with open("told", "a") as file:
            print(text, file=file)

    def lose(lease, nodes):
        os.kill(lease._client.pid, signal.SIGKILL)
        while True:  # until it shows
            nodes.run("true")

    class Mine(Engine):
        space = Space(x=[1, 2, 3])
        request = {"nodes": 2}

        def prepare(self, nodes):
            nodes.run("touch ready")
            note("prepared")
            yield
            note("ended")

"""
END = """
    if __name__ == "__main__":
        sys.exit(Mine().main())
"""
LOSE = "lose(self.lease, nodes)"


class Script:
    """A script that is an engine, and what its runs leave."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, body: str) -> None:
        """Write it; ``body`` is the rest of the class."""
        text = textwrap.dedent(SCRIPT) + textwrap.indent(textwrap.dedent(body), "    ") + "\n" + textwrap.dedent(END)
        (self.directory / "mine.py").write_text(text)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start it."""
        return subprocess.Popen(
            [sys.executable, "mine.py", *options],
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *options: str, status: int = 0) -> list[str]:
        """Run it to its end; return what it printed."""
        process = self.start(*options)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == status, output
        return output.splitlines()

    def told(self) -> list[str]:
        """What the script has noted since it was asked last."""
        file = self.directory / "told"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def records(self) -> list[dict[str, Any]]:
        """All records in the order of their attempts."""
        found = [
            json.loads(line)
            for path in self.directory.glob("execo-results/*/records/*.jsonl")
            for line in path.read_text().splitlines()
        ]
        return sorted(found, key=lambda record: str(record["started_at"]))

    def outcomes(self) -> list[tuple[int, str]]:
        """Factor x and outcome of all attempts."""
        return [(record["params"]["x"], record["outcome"]) for record in self.records()]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """A script in a directory of its own."""
    return Script(tmp_path)


def test_trials_are_run_recorded_and_not_run_again(script: Script) -> None:
    script.write(
        """
        def run_trial(self, nodes, trial, x):
            nodes.run("test -e ready")
            assert x != 2, "its own mistake"
            trial.record(double=2 * x)
        """
    )
    lines = script.run(status=1)
    assert script.outcomes() == [(1, "passed"), (2, "failed"), (3, "passed")]
    first, failed, _ = script.records()
    assert first["measurements"] == {"double": 2}
    assert first["test"] == "mine.py::Mine"
    assert len(first["nodes"]) == 2
    assert failed["error"]["type"] == "AssertionError"
    assert failed["error"]["traceback"].splitlines()[1].endswith("in run_trial")
    assert any(
        line.startswith('execo: failed: {"x":2}, repetition 0: AssertionError: its own mistake') for line in lines
    )
    assert lines[-1].endswith("mine.py --rerun=failed")
    assert script.told() == ["prepared", "ended"]

    lines = script.run(status=1)
    assert "execo: site local (embedded), 3 trials: 3 done before (1 of them failed), 0 to run" in lines
    assert script.told() == []
    script.run("--rerun=failed", status=1)
    assert script.outcomes()[3:] == [(2, "failed")]
    assert script.records()[-1]["attempt"] == 2


def test_what_it_writes_is_a_campaign_like_any_other(script: Script) -> None:
    from pytest_execo import load
    from pytest_execo.results.schema import load_schema

    script.write("def run_trial(self, trial, x): trial.record(double=2 * x)")
    script.run()
    for record in script.records():
        jsonschema.validate(record, load_schema("record-1"))
    (directory,) = script.directory.glob("execo-results/*")
    frame = load(directory)
    assert list(frame["double"]) == [2, 4, 6]
    status = subprocess.run(
        [sys.executable, "-m", "pytest_execo", "status", str(directory)], capture_output=True, text=True, check=True
    )
    assert "3 trials: 3 passed" in status.stdout


def test_a_lost_lease_fails_nothing_and_nodes_are_prepared_again(script: Script) -> None:
    script.write(
        f"""
        def run_trial(self, nodes, x):
            nodes.run("test -e ready")
            if x == 2 and not os.path.exists("lost"):
                Path("lost").touch()
                {LOSE}
        """
    )
    lines = script.run()
    assert script.outcomes() == [(1, "passed"), (2, "pending"), (2, "passed"), (3, "passed")]
    assert script.told() == ["prepared", "ended", "prepared", "ended"]
    records = script.records()
    assert "the lease on local was lost" in records[1]["reason"]
    assert records[1]["lease"] != records[2]["lease"]
    assert "execo: 1 attempt interrupted by the testbed, and run again" in lines


def test_what_ends_without_nodes_is_blamed_rightly(script: Script) -> None:
    """A mistake is a failure, also when nodes were there a moment before; nothing is run again for it."""
    script.write(
        """
        def run_trial(self, nodes, x):
            if x == 1:
                nodes[0].run("exit 3")
            if x == 2:
                raise SystemExit("no")
            import unittest
            raise unittest.SkipTest("not today")
        """
    )
    script.run(status=1)
    assert script.outcomes() == [(1, "failed"), (2, "failed"), (3, "skipped")]
    assert [record["attempt"] for record in script.records()] == [1, 1, 1]
    assert script.records()[2]["reason"] == "not today"


def test_leases_that_can_not_be_kept_end_the_run_within_the_budget(script: Script) -> None:
    script.write(f"def run_trial(self, nodes, x): {LOSE}")
    lines = script.run("--rebuilds=1", status=75)
    assert {outcome for _, outcome in script.outcomes()} == {"pending"}
    assert len(script.outcomes()) < 10
    assert any("3 trials left" in line for line in lines)


def test_a_preparation_that_fails_ends_the_run(script: Script) -> None:
    script.write(
        """
        def prepare(self, nodes):
            raise ValueError("no such package")
        def run_trial(self, nodes, x): note("never")
        """
    )
    lines = script.run(status=1)
    assert "execo: prepare() failed, so no trial can run:" in lines
    assert "ValueError: no such package" in lines
    assert script.told() == []
    assert script.outcomes() == [(1, "pending")]


def test_a_preparation_that_loses_its_nodes_is_made_again(script: Script) -> None:
    script.write(
        f"""
        def prepare(self, nodes):
            if not os.path.exists("lost"):
                Path("lost").touch()
                {LOSE}
            nodes.run("true")
        def run_trial(self, nodes, x): nodes.run("true")
        """
    )
    script.run()
    assert script.outcomes() == [(1, "pending"), (1, "passed"), (2, "passed"), (3, "passed")]


def test_what_a_trial_starts_ends_with_it(script: Script) -> None:
    script.write(
        """
        def run_trial(self, nodes, x):
            if x > 1:
                assert not self.process.running
            self.process = Process("sleep 100", nodes[0]).start()
        """
    )
    script.run()


def test_failed_trials_are_tried_again_where_that_is_wanted(script: Script) -> None:
    script.write(
        """
        def run_trial(self, trial, x):
            assert x != 2 or trial.attempt == 2
        """
    )
    lines = script.run("--retries=1")
    assert script.outcomes() == [(1, "passed"), (2, "failed"), (2, "passed"), (3, "passed")]
    assert "execo: 1 failed attempt tried again" in lines


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_the_trial_under_way_and_give_nodes_back(
    script: Script, eventually: Callable[..., None], lease_files: Path, number: signal.Signals, status: int
) -> None:
    script.write(
        """
        def run_trial(self, nodes, x):
            if x == 2 and not os.path.exists("again"):
                note(f"pid {self.lease._client.pid}")
                nodes.run("sleep 60")
        """
    )
    process = script.start()
    told = script.directory / "told"
    eventually(lambda: told.exists() and "pid" in told.read_text(), 60)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status, output
    prepared, pid, ended = script.told()
    assert (prepared, ended) == ("prepared", "ended")
    assert not os.path.exists(f"/proc/{pid.split()[1]}")
    assert script.outcomes() == [(1, "passed"), (2, "pending")]
    assert "execo: 2 trials left; to go on: " in output
    assert not list(lease_files.glob("*.json"))

    (script.directory / "again").touch()
    script.run()
    assert script.outcomes()[2:] == [(2, "passed"), (3, "passed")]


def test_a_run_that_was_killed_is_gone_on_with(
    script: Script, eventually: Callable[..., None], lease_files: Path
) -> None:
    script.write(
        """
        def run_trial(self, nodes, x):
            if x == 2 and not os.path.exists("again"):
                note("here")
                time.sleep(60)
        """
    )
    process = script.start()
    told = script.directory / "told"
    eventually(lambda: told.exists() and "here" in told.read_text(), 60)
    process.kill()
    process.communicate(timeout=60)
    script.told()
    (script.directory / "again").touch()
    script.run()
    assert script.outcomes() == [(1, "passed"), (2, "passed"), (3, "passed")]
    subprocess.run([sys.executable, "-m", "pytest_execo", "release"], check=True, capture_output=True, timeout=60)
    assert not list(lease_files.glob("*.json"))


def test_options_of_its_own_and_events(script: Script) -> None:
    script.write(
        """
        def add_options(self, parser):
            parser.add_argument("--most", type=int, default=1)

        @property
        def space(self):
            return Space(x=range(self.args.most))

        def told(self, event):
            note(event.kind)

        def run_trial(self, **given):
            assert set(given) == {"nodes", "trial", "x"}
        """
    )
    script.run("--most=2", "--order=random")
    assert sorted(script.outcomes()) == [(0, "passed"), (1, "passed")]
    assert script.told() == ["started", "lease-taken", "prepared", "ended", "finished"]
    assert script.run("--most=3", "--plan", "--fresh")[-1].startswith("execo: 3 trials on 2 nodes")
    assert script.run("--most=x", status=4) == [
        "execo: argument --most: invalid int value: 'x'; --help lists the options"
    ]


def test_a_request_that_can_not_be_met_reserves_nothing(script: Script) -> None:
    script.write('request = {"cluster": "paravance"}\ndef run_trial(self, x): note("never")')
    lines = script.run(status=75)
    assert any("can't run" in line for line in lines)
    assert script.told() == []
    script.run("--plan", status=75)


def test_neither_pytest_nor_a_plugin_is_loaded(script: Script) -> None:
    script.write(
        """
        def run_trial(self, nodes, x):
            nodes.run("true")
            assert not {"pytest", "_pytest", "pytest_execo.plugin"} & set(sys.modules)
        """
    )
    script.run()


def test_leases_of_the_emulator_end_and_are_replaced(script: Script) -> None:
    """Six trials of two seconds on leases of ten, of which the deployment takes a part."""
    speed = 60.0
    script.write(
        """
        space = Space(x=range(6))
        request = {"nodes": 2, "cluster": "taurus", "walltime": "0:10:00", "environment": "debian12-min"}

        def run_trial(self, nodes, trial, x):
            nodes.run("test -e ready; sleep 2")
        """
    )
    with EmulatorServer.start(
        sample_reference(), machines=EmbeddedMachines(), speed=speed, users=dict([DEFAULT_ACCOUNT])
    ) as server:
        script.run(
            "--testbed=emulator", "--site=lyon", f"--option=uri={server.uri}", f"--option=key={server.key}"
        )  # fmt: skip
        jobs = server.platform.sites["lyon"].oar.jobs()
    passed = [record for record in script.records() if record["outcome"] == "passed"]
    assert sorted(record["params"]["x"] for record in passed) == list(range(6))
    assert not [record for record in script.records() if record["outcome"] == "failed"]
    assert len(jobs) >= 2
    assert all(job.state.lower() in ("terminated", "error") for job in jobs)
    assert len(script.told()) == 2 * len({record["lease"] for record in script.records()})


DIE = """
        def die(self, nodes):
            import subprocess
            nodes.run("true")
            asked = subprocess.run(["pgrep", "-P", str(self.lease._client.pid)], capture_output=True, text=True)
            os.kill(int(asked.stdout.split()[0]), signal.SIGKILL)
            while all(node.powered for node in self.lease.nodes): pass
            while True: nodes.run("true")
"""


def test_a_spare_node_is_prepared(script: Script) -> None:
    script.write(
        DIE
        + """
        request = {"nodes": 2, "spare": 1}
        def run_trial(self, nodes, x):
            nodes.run("test -e ready")
            if x == 2 and not os.path.exists("died"):
                Path("died").touch()
                self.die(nodes)
        """
    )
    script.run()
    assert script.outcomes() == [(1, "passed"), (2, "pending"), (2, "passed"), (3, "passed")]
    assert script.told() == ["prepared", "ended", "prepared", "ended"]
    assert script.records()[1]["lease"] == script.records()[2]["lease"]


def test_a_node_that_dies_while_it_is_prepared_fails_nothing(script: Script) -> None:
    script.write(
        DIE
        + """
        request = {"nodes": 2, "spare": 1}
        def prepare(self, nodes):
            if not os.path.exists("died"):
                Path("died").touch()
                self.die(nodes)
        def run_trial(self, nodes, x): nodes.run("true")
        """
    )
    script.run()
    assert script.outcomes() == [(1, "pending"), (1, "passed"), (2, "passed"), (3, "passed")]
