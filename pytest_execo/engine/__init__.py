"""The experiment engine: what a run has to do, where it is written down, and how a lost node is told from a failure.

What may live here: the books of a run, which pytest's face and scripts share, and :class:`~.engine.Engine`, the runner
for scripts. No pytest: the plugin stands on this package.
"""
