"""The sweeper for scripts without pytest, with the verbs that execo users know, and the import of execo's directories.

``inert_pickle`` reads foreign pickles without running what they say.
"""
