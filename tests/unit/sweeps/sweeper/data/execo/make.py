"""How the fixtures here were made: by execo 2.8.2 itself, with any Python 3.

    python3 -m venv /tmp/execo && /tmp/execo/bin/pip install execo==2.8.2
    PYTHONHASHSEED=0 /tmp/execo/bin/python make.py

``plain``: a sweep that was saved, two combinations done, one in progress. ``foreign``: one done combination holds an
object of a class, another the result of a call; between plain ones. ``old``: the same sweep as execo wrote it with
Python 2, in pickles of protocol 0.
"""

# ruff: noqa
import fractions
import pathlib
import pickle
import shutil

from execo_engine import ParamSweeper, sweep

HERE = pathlib.Path(__file__).resolve().parent
PARAMETERS = {"size": [1, 2.5], "tool": {"dd": {"block": [(4, "KiB")]}, "cp": {}}, "sync": [True]}


def write(name, parameters, protocol=None):
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    pickle.DEFAULT_PROTOCOL, before = protocol or pickle.DEFAULT_PROTOCOL, pickle.DEFAULT_PROTOCOL
    sweeper = ParamSweeper(str(directory), sweep(parameters), save_sweeps=True)
    in_order = lambda combs: sorted(combs, key=repr)
    for _ in range(2):
        sweeper.done(sweeper.get_next(in_order))
    sweeper.get_next(in_order)
    return sweeper


write("plain", PARAMETERS)

foreign = write("foreign", {"x": [1, 2, 3, fractions.Fraction(1, 3), pathlib.PurePosixPath("/a")]})
for comb in sorted(foreign.get_remaining(), key=repr):
    foreign.done(comb)

# Python 2 had 0 as its default.
original = pickle.dump
pickle.dump = lambda value, file, protocol=0: original(value, file, protocol)
write("old", PARAMETERS)
pickle.dump = original
