"""Who sends to whom, and who is blamed for a link that does not work."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.processes.chain.order import ATTEMPTS, Order


def order(names: str) -> Order[str]:
    made: Order[str] = Order()
    for name in names:
        made.add(name)
    return made


def fail(chain: Order[str], hop: str) -> str | None:
    """Have the link to ``hop`` fail as often as it takes to count."""
    for _ in range(ATTEMPTS - 1):
        assert chain.failed(hop, "refused") is None
    return chain.failed(hop, "refused")


def test_the_order_is_that_in_which_they_came() -> None:
    chain = order("abc")
    assert "".join(chain) == "abc"
    assert [chain.before(hop) for hop in chain] == [None, "a", "b"]
    assert (len(chain), "b" in chain, "x" in chain) == (3, True, False)


def test_who_is_taken_out_is_passed_over() -> None:
    chain = order("abc")
    chain.remove("b")
    chain.remove("b")
    assert chain.before("c") == "a"


def test_a_link_is_tried_again_before_it_counts() -> None:
    chain = order("ab")
    assert chain.tries("b") == 0
    assert chain.failed("b", "refused") is None
    assert ("".join(chain), chain.tries("b")) == ("ab", 1)
    chain.advanced("b")
    assert chain.tries("b") == 0


def test_another_sender_is_tried() -> None:
    chain = order("abc")
    assert fail(chain, "c") is None
    assert "".join(chain) == "acb"
    # Two could not: it is the hop's own fault.
    assert fail(chain, "c") == "b could not send to it (refused), a could not send to it (refused)"


def test_one_that_reaches_nobody_sinks_to_the_end() -> None:
    chain = order("abcd")
    for hop in "bcd":
        assert fail(chain, hop) is None
        assert chain.before(hop) != "a"
    assert "".join(chain) == "bcda"


def test_one_that_the_head_cant_reach_comes_after_another() -> None:
    chain = order("abc")
    assert fail(chain, "a") is None
    assert "".join(chain) == "bac"
    reason = fail(chain, "a")
    assert reason is not None
    assert reason.startswith("this machine could not send to it")


def test_with_nobody_else_to_send_to_it_is_given_up_at_once() -> None:
    chain = order("a")
    assert fail(chain, "a") == "this machine could not send to it (refused)"


@given(st.integers(1, 6), st.lists(st.integers(0, 5), max_size=60))
def test_whatever_fails_it_comes_to_an_end(size: int, failures: list[int]) -> None:
    chain = order("abcdef"[:size])
    counts = dict.fromkeys(chain, 0)
    for index in failures:
        if not len(chain):
            break
        hop = list(chain)[index % len(chain)]
        counts[hop] += 1
        if chain.failed(hop, "refused") is not None:
            chain.remove(hop)
        assert sorted(chain) == sorted(set(chain))
    # Two senders, some tries each: nobody is tried for ever.
    assert all(count <= 2 * ATTEMPTS * size for count in counts.values())
