"""The embedded testbed: real SSH servers on loopback, from Python packages alone.

Lives here: everything from ``EmbeddedTestbed`` down to one byte of one session, in three processes.

* The controller (whoever reserves): :mod:`.testbed` and :mod:`.client`. Imports nothing heavy.
* The manager, one per lease: :mod:`.manager` runs what :mod:`.construction` built, each node a :mod:`.machine`, booted
  by :mod:`.node` into :mod:`.namespaces` of its own.
* A node: a small init and one SSH server (:mod:`.server`, :mod:`.sessions`, :mod:`.terminals`, :mod:`.children`, and
  :mod:`pytest_execo.connectors.pumps`) behind a wire that can be cut and slowed (:mod:`.network`).

:mod:`.layout` holds what they agree on: names, directories, files.
"""

from __future__ import annotations

from .testbed import EmbeddedLease, EmbeddedNode, EmbeddedTestbed, Fault

__all__ = ("EmbeddedLease", "EmbeddedNode", "EmbeddedTestbed", "Fault")
