"""What is asked of a testbed on the command line, in the words of the marker."""

from __future__ import annotations

import argparse

import pytest

from pytest_execo.commands import asking
from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds import Request


def request(*words: str) -> Request:
    """Return what these options ask for."""
    parser = argparse.ArgumentParser()
    asking.add_arguments(parser, nodes="1")
    return asking.request(parser.parse_args(words))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], Request(nodes=1)),
        (["--nodes=3", "--min-nodes=2", "--spare=1"], Request(nodes=3, min_nodes=2, spare=1)),
        (["--nodes=lyon=2,gros=1"], Request(nodes=3, shares=(("lyon", 2), ("gros", 1)))),
        (["--hosts=taurus-1,taurus-2"], Request(nodes=2, hosts=("taurus-1", "taurus-2"))),
        (["--types=night,exotic", "--project=lab"], Request(nodes=1, types=("night", "exotic"), project="lab")),
        (["--subnets=slash_22=2", "--disks"], Request(nodes=1, subnets=(("slash_22", 2),), disks=True)),
        (["--walltime=1h", "--property=cores>=16"], Request(nodes=1, walltime=3600, properties=(("cores", ">=16"),))),
    ],
)
def test_what_is_asked(words: list[str], expected: Request) -> None:
    assert request(*words) == expected


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--nodes=none"], "--nodes none: write a number of nodes, 1 or more"),
        (["--min-nodes=2"], "--min-nodes 2: write a number up to nodes=, which says 1"),
        (["--spare=some"], "--spare some: write a number of nodes, 1 or more"),
        (["--subnets=slash_22"], "--subnets slash_22: write"),
        (["--property=cores"], "--property cores: write a condition, 'cores>=16' or 'gpu=1'"),
        (["--walltime=soon"], "--walltime soon: "),
    ],
)
def test_what_is_wrong_is_said_by_the_option(words: list[str], line: str) -> None:
    with pytest.raises(InvalidRequest, match=line):
        request(*words)
