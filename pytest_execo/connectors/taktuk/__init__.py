"""The connector for very many hosts: TakTuk, which deploys itself along a tree of ssh connections.

Commands that start together become one ``taktuk`` process and its tree (:mod:`.tree`), whatever each of them is.
TakTuk carries lines, and mangles them; so what it carries is lines of base64 to and from a relay on each host
(``relay.pl``), which starts the commands, watches them and ends them (:mod:`.node`, one relay; :mod:`.session`, one
command; :mod:`.lines`, what is said). Files are served by a command like any other (``files.pl``, :mod:`.files`), and
what many hosts get alike leaves this machine once (:mod:`.multicast`). Nothing is installed on a host: perl is enough,
which TakTuk needs itself.

How the hosts are reached is the user's ssh program and its configuration (:mod:`.options`). Hosts with a key, a port
or a host key that only this machine knows are reached from here, all of them; other hosts help to reach each other
(TakTuk's work stealing), and a host that no other could reach is tried from here.
"""

from __future__ import annotations

from .connector import TaktukConnector

__all__ = ("TaktukConnector",)
