"""Names and outputs in short."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo import Host, Process
from pytest_execo.processes import fold, fold_names
from pytest_execo.processes.folding import Fold, Folds


def expand(text: str) -> list[str]:
    """Undo :func:`fold_names`, as node-sets are understood everywhere."""
    names = []
    for term in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        before, numbers, after = re.fullmatch(r"([^\[]*)(?:\[(.*)\])?(.*)", term).groups()  # type: ignore[union-attr]
        if numbers is None:
            names.append(before)
            continue
        for run in numbers.split(","):
            first, _, last = run.partition("-")
            width = len(first) if first.startswith("0") else 0
            names += [f"{before}{number:0{width}}{after}" for number in range(int(first), int(last or first) + 1)]
    return names


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        ("", ""),
        ("node-1 node-2 node-3 node-7", "node-[1-3,7]"),
        ("graphene-1.nancy graphene-2.nancy graphene-3.nancy", "graphene-[1-3].nancy"),
        ("node-3 node-1 node-2 node-1", "node-[1-3]"),
        ("web node-1 db", "web,node-1,db"),
        ("n08 n09 n10 n11", "n[08-11]"),
        ("n8 n9 n10 n11", "n[8-11]"),
        ("n1 n01 n2 n02", "n[1-2,01-02]"),
        ("n099 n100 n101", "n[099-101]"),
        ("n0 n1 n00", "n[0-1,00]"),
        ("gra-1.lyon gra-2.lyon gra-1.nancy tau-1.lyon", "gra-[1-2].lyon,gra-1.nancy,tau-1.lyon"),
        ("rack1-1 rack1-2 rack2-1 rack2-2", "rack1-[1-2],rack2-[1-2]"),
        ("rack1-9 rack2-9 rack3-9", "rack[1-3]-9"),
        ("10.0.0.1 10.0.0.2 10.0.0.9", "10.0.0.[1-2,9]"),
        ("a[1] a[2]", "a[1],a[2]"),
        ("7 8", "[7-8]"),
        ("n٣ n٤", "n٣,n٤"),  # digits, but not those that count
    ],
)
def test_names(names: str, folded: str) -> None:
    assert fold_names(names.split()) == folded


NUMBERS = (
    st.integers(0, 120).map(str) | st.integers(0, 120).map("{:02}".format) | st.integers(0, 120).map("{:03}".format)
)
WORDS = st.text("ab-.", max_size=3)
NAMES = st.builds("{}{}{}".format, st.sampled_from(["n", "gra-", ""]), NUMBERS, st.sampled_from(["", ".lyon", "-eth1"]))
NAMES |= st.lists(WORDS | NUMBERS, min_size=1, max_size=5).map("".join).filter(bool)
NAMES |= st.text(min_size=1, max_size=8).filter(lambda name: not set("[],") & set(name))


@given(st.lists(NAMES, max_size=40))
def test_expanding_gives_back_the_names(names: list[str]) -> None:
    assert sorted(expand(fold_names(names))) == sorted(set(names))


@given(st.lists(NAMES, max_size=20), st.randoms())
def test_no_name_is_longer_for_being_folded(names: list[str], random: object) -> None:
    folded = fold_names(names)
    brackets = 2 * folded.count("[")  # of which a set of two names may need more than it saves
    assert len(folded) <= len(",".join(dict.fromkeys(names))) + brackets


@given(st.integers(0, 200), st.integers(1, 50))
def test_a_run_is_one_term(first: int, count: int) -> None:
    names = [f"node-{number}.site" for number in range(first, first + count)]
    wanted = names[0] if count == 1 else f"node-[{first}-{first + count - 1}].site"
    assert fold_names(reversed(names)) == wanted


def said(name: str | None, text: str) -> Process:
    return Process(["printf", "%s", text], None if name is None else Host(name, connector="local")).run()


def test_folds_are_biggest_first_and_then_in_order() -> None:
    processes = [said("n3", "b\n"), said("n1", "a\n"), said("web", "c"), said("n2", "a\n"), said(None, "")]
    folds = fold(processes)
    assert [(f.output, f.names) for f in folds] == [
        ("a\n", ["n1", "n2"]),
        ("b\n", ["n3"]),
        ("c", ["web"]),
        ("", ["localhost"]),
    ]
    line = "-" * 15
    assert str(folds) == (
        f"{line}\nn[1-2] (2)\n{line}\na\n{line}\nn3\n{line}\nb\n{line}\nweb\n{line}\nc\n{line}\nlocalhost\n{line}\n"
    )
    assert str(folds[0]) == f"{line}\nn[1-2] (2)\n{line}\na\n"
    assert (fold([]), str(fold([]))) == ([], "")


def test_a_host_that_is_there_twice_counts_twice() -> None:
    (one,) = fold([said("n1", "x"), said("n1", "x"), said("n2", "x")])
    assert str(one).splitlines()[1] == "n[1-2] (3)"


def test_of_standard_error() -> None:
    processes = [Process(f"echo {word} >&2; echo {number}").run() for number, word in enumerate("xyx")]
    assert [f.output for f in fold(processes, "stderr")] == ["x\n", "y\n"]
    assert isinstance(fold(processes), Folds)
    assert all(isinstance(f, Fold) for f in fold(processes))
