"""Checkpoints side by side: to take a trial and to note that it is done, here and in execo, in the same run.

python -m benchmarks.checkpoint [--sizes 1000,10000,100000] [--peers ParamSweeper,execo] [--json FILE]

One worker, on an empty sweep in a directory of its own. Each peer runs in an interpreter of its own (:mod:`.driver`),
and its sweep is opened again afterwards, to count what it kept: a figure of which less was kept is no figure.

``ParamSweeper``: this package's. ``SqliteStore``: the store below it, ``durable=True``. ``execo``: its ParamSweeper.
``sync``: what no checkpoint can do without, a line appended to a file and synced with ``fdatasync``, once for each
trial.

``a second``: trials taken and done in a second. Every done is on the disk when the call returns, with all of them: a
directory in memory is refused. ``µs``: the time of one. ``open``: seconds to make the sweep, before the clock starts.

All do the whole sweep up to ``--whole`` trials, and beyond it a slice from its middle: half of the trials are done
before the clock starts, then ``--slice`` of them are measured. From ``--most`` trials on execo is left out, which takes
longer for each the more there are.
"""
