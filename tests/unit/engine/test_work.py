"""What a class of engines says is checked before anything is reserved, in one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo import Engine, InvalidInput, Level, Space
from pytest_execo.engine.work import file_of, work_of


def engine(**said: Any) -> Engine:
    """An engine whose class says this."""
    given = {"space": Space(x=[1, 2]), "run_trial": lambda self, nodes, trial, x: None, **said}
    kind: type[Engine] = type("Mine", (Engine,), {name: value for name, value in given.items() if value is not ...})
    return kind()


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"space": ...}, "Mine.space is None: write space = Space(…), the parameters of the trials"),
        ({"space": [1, 2]}, "Mine.space is [1, 2]: write space = Space(…)"),
        ({"space": Space(x=range(10**4), y=range(10**4))}, "Mine.space has 100000000 points, and 2000000 can be run"),
        ({"run_trial": ...}, "Mine has no run_trial: write def run_trial(self, nodes, trial, …)"),
        ({"run_trial": 3}, "Mine has no run_trial"),
        ({"run_trial": lambda self, y: None}, "Mine.run_trial wants 'y'; there are, by name: nodes, trial, x"),
        ({"run_trial": lambda self, *given: None}, "Mine.run_trial wants '*given'"),
        ({"space": Space(nodes=[1])}, "Mine.space: run_trial gets 'nodes' as something else"),
        ({"request": 2}, "Mine.request is 2: write a mapping, {'nodes': 2, 'walltime': '2h'}"),
        ({"request": {"node": 2}}, "Mine.request['node'] = 2: unknown key; did you mean 'nodes'?"),
        ({"request": {"nodes": 0}}, "Mine.request['nodes'] = 0: write a number of nodes, 1 or more"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(said: dict[str, Any], line: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(line)) as caught:
        work_of(engine(**said))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("method", "takes"),
    [
        (lambda self: None, set()),
        (lambda self, trial: None, {"trial"}),
        (lambda self, x, *, nodes: None, {"x", "nodes"}),
        (lambda self, x, more=3: None, {"x"}),
        (lambda self, **given: None, {"nodes", "trial", "x"}),
    ],
)
def test_a_trial_takes_by_name_what_it_needs(method: Callable[..., None], takes: set[str]) -> None:
    assert work_of(engine(run_trial=method)).takes == takes


def test_trials_are_the_points_in_order_and_keep_their_identity() -> None:
    work = work_of(engine(space=Space(x=[1, 2], repeat=2)))
    trials = [trial for trial, _ in work.trials.values()]
    assert [(trial.params["x"], trial.repetition) for trial in trials] == [(1, 0), (2, 0), (1, 1), (2, 1)]
    assert all(trial.id == identity and trial.resumable for identity, trial in zip(work.trials, trials, strict=True))
    assert list(work_of(engine(space=Space(x=[1, 2], repeat=2))).trials) == list(work.trials)
    assert work.test.endswith("::Mine")


def test_a_named_level_is_given_as_its_value_and_recorded_as_its_name() -> None:
    def function() -> None: ...

    work = work_of(engine(space=Space(x=[Level(function, "mine")])))
    ((trial, levels),) = work.trials.values()
    assert trial.params == {"x": "mine"}
    assert levels == {"x": function}


def test_a_class_that_was_typed_in_has_no_file() -> None:
    assert file_of(type("Typed", (Engine,), {"__module__": "nowhere"})) is None
