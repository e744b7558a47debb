"""One module per peer, each as its own manual would have it; see :mod:`..driver` for what they have to do.

Modules are named after the library that they use. What they import is imported before the clock starts.
"""
