"""How many failures are borne."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.leases.budget import Budget


def test_a_group_may_fail_so_often_in_a_row() -> None:
    budget = Budget(2)
    assert [budget.failed("a") for _ in range(4)] == [True, True, False, False]
    assert budget.failed("b")
    budget.progressed("a")
    assert budget.failed("a")


def test_each_holder_of_a_group_counts_for_itself() -> None:
    """One lease that is lost is a failure of all who share it."""
    budget = Budget(1)
    assert [budget.failed("a", holder) for holder in "wxyz"] == [True] * 4
    budget.progressed("a")
    assert [budget.failed("a", holder) for holder in "ww"] == [True, False]


def test_three_groups_given_up_in_a_row_are_enough() -> None:
    budget = Budget(0)
    assert not budget.spent
    for group in "abc":
        assert not budget.failed(group)
        assert not budget.failed(group)  # counts once
    assert budget.spent
    budget = Budget(0)
    for group in "abcd":
        budget.failed(group)
        if group == "b":
            budget.progressed("x")
    assert not budget.spent


def test_the_holders_of_one_group_are_one_group() -> None:
    budget = Budget(0)
    for holder in "abc":
        assert not budget.failed("group", holder)
    assert not budget.spent


def test_a_broken_testbed_is_left_alone_by_groups_that_have_not_failed() -> None:
    budget = Budget(1)
    for group in "abc":
        budget.failed(group)
        budget.failed(group)
    assert not budget.failed("new")


@given(st.integers(0, 5), st.lists(st.sampled_from("ab")))
def test_a_trial_may_lose_its_nodes_so_often_whatever_happens_to_others(limit: int, trials: list[str]) -> None:
    budget = Budget(limit)
    for number, trial in enumerate(trials):
        assert budget.interrupted(trial) is (trials[: number + 1].count(trial) <= limit)
