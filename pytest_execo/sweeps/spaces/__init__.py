"""Parameter spaces: which points there are, how some of them are chosen, and in which order they come.

What may live here: factors and levels (``factors``, ``levels``, ``progressions``), the parts that spaces are built of
(``parts``, ``branches``, ``united``, ``chosen``, ``nested``), :class:`~.space.Space`, designs of experiments, and
searches that choose as they go. Nothing here knows of a store, a test or a host.
"""
