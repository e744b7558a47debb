"""The commands of ``pytest-execo``, a module for each.

What may live here: the options of a command, and how its answer looks in a terminal. Each module has
``add_parser(commands)``, which says what the options are, and imports what it works with when it is run. What a
command does is in the rooms below: a script can do it too.
"""
