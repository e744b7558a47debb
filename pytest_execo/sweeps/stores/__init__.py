"""Checkpoint stores: the states of trials, shared out among processes and machines.

The contract is ``store``; ``sql_store`` has what SQLite and PostgreSQL share; ``opening`` chooses by a path or a URL;
``campaigns`` lets machines agree on one campaign; ``snapshot`` reads a store without touching it.
"""
