"""Fixtures on embedded nodes: shared by equal requests, given back early, and what ends with what."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.integration


def test_nodes_by_marker_by_option_and_by_default(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.execo(nodes=2)
        class TestTwo:
            def test_marker(self, nodes): assert len(nodes) == 2
            @pytest.mark.execo(nodes=4)
            def test_nearer_marker(self, nodes): assert len(nodes) == 4
        def test_option(nodes): assert len(nodes) == 5
        """
    )
    pytester.runpytest_inprocess("--execo-nodes=5").assert_outcomes(passed=3)
    pytester.makepyfile("def test_default(nodes): assert len(nodes) == 1")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_equal_requests_share_a_lease_and_others_end_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        log = []

        @pytest.fixture(scope="module")
        def server(nodes):
            log.append(f"up {len(nodes)}")
            yield nodes[0]
            log.append(f"down {len(nodes)}")
            assert nodes[0].run("echo $HOSTNAME").stdout == "node-1.local\\n"  # the nodes are still there

        @pytest.mark.execo(nodes=2)
        def test_a(server, lease): log.append(lease)
        @pytest.mark.execo(nodes=3)
        def test_b(server, lease): log.append(lease)
        @pytest.mark.execo(nodes=2)
        def test_c(server, lease): log.append(lease)
        def test_plain(): log.append("plain")
        @pytest.mark.execo(nodes=1)
        def test_last(lease):
            plain, up2, a, c, down2, up3, b, down3 = log
            assert (plain, up2, down2, up3, down3) == ("plain", "up 2", "down 2", "up 3", "down 3")
            assert a is c and a is not b
            assert not a.alive() and not b.alive() and lease.alive()
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=5)


def test_what_a_test_starts_ends_with_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_execo import Process
        started = {}

        @pytest.fixture(scope="module")
        def of_module(nodes):
            started["module"] = process = nodes[0].start("sleep 1000")
            yield process
            assert process.running

        @pytest.fixture
        def of_test(nodes):
            started["fixture"] = process = nodes[0].start("sleep 1000")
            yield process
            assert process.running  # a fixture may end its processes in its own way

        def test_one(of_module, of_test, remote, nodes):
            started["remote"] = remote.start("sleep 1000")[0]
            started["host"] = nodes[0].start("sleep 1000")
            started["local"] = Process("sleep 1000").start()
            for process in started.values():
                assert process.running
            remote.run("true")

        def test_two(of_module):
            assert {name: process.running for name, process in started.items()} == {
                "module": True, "fixture": False, "remote": False, "host": False, "local": False,
            }
            assert all(process.ok for process in started.values())
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_a_project_with_fixtures_of_the_same_names(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        @pytest.fixture
        def nodes(): return "mine"
        @pytest.fixture
        def trial(trial): return trial
        """
    )
    pytester.makepyfile("def test_mine(nodes): assert nodes == 'mine'")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("execo*")
    assert not (pytester.path / "execo-results").exists()
    pytester.makepyfile("def test_ours(trial): trial.record(x=1)")
    pytester.runpytest_inprocess().stdout.fnmatch_lines(["execo: 1 trial in this session: 1 passed"])


def test_a_lost_lease_is_not_the_tests_fault(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pathlib, signal, time
        from pytest_execo import sweep
        leases = []
        @sweep(x=[1, 2])
        def test_it(lease, nodes, x):
            leases.append(lease)
            if not pathlib.Path("over").exists():
                pathlib.Path("over").touch()
                os.kill(lease._client.pid, signal.SIGKILL)
                while lease.alive():
                    time.sleep(0.01)
            nodes.run("true")
            assert len(set(leases)) == 2
        """
    )
    result = pytester.runpytest_inprocess()
    assert result.parseoutcomes() == {"interrupted": 1, "passed": 2}
    result.stdout.fnmatch_lines(["execo: 1 attempt interrupted by the testbed, and run again"])
    pytester.runpytest_inprocess("--collect-only").assert_outcomes(deselected=2)
