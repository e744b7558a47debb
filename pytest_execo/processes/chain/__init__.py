"""Copies to many hosts through a chain of them: each passes the file on to the next while it receives it.

Lives here: the group and its members (:mod:`.chain_put`), the coordinator of one chain (:mod:`.chain`), who sends to
whom (:mod:`.order`, :mod:`.link`), a host's agent seen from here (:mod:`.hop`), the first sender (:mod:`.head`), what
is sent (:mod:`.source`), and the programs that run on hosts (``agents/``).

**Two kinds of connections.** Each host has an agent, a POSIX shell that the connector has started: what is said over
its standard input and output is as safe as the connector. Data goes from host to host by plain TCP, where anybody may
listen, connect or interfere; nothing that comes that way is trusted before the controller has confirmed the check
sum.

**The start.** The controller starts ``sh`` with a loader that reads ``agents/agent.sh`` from standard input. The
agent finds its place, makes an empty part file in the target's directory (``.execo-…``), finds the first tool that
works, and says ``ready``. The controller answers with the length of the tool's helper in a line, the helper, and the
secret of the copy, 32 bytes in hexadecimal digits, in a line: it is on no disk, no command line, in no environment.

**What the controller says**, in lines:

=================================  ====================================================================================
``listen LINK NONCE ADDRESS``      stop receiving; wait for a connection of that number, at this address
``next LINK NONCE ADDRESS PORT``   stop sending; connect there, and send all that is here or will come
``commit``                         the check sum is right: give the file its attributes and its name
``.``                              we are still here
(end of input)                     it is over: end, remove what is not in place
=================================  ====================================================================================

**What agents say**, in lines that begin with ``@`` (a login script may say others):

=================================  ====================================================================================
``ready TOOL ADDRESS PART``        can be told what to do; ``ADDRESS``: at which ssh has reached it, or ``-``
``unable REASON``                  no tool works on this host: it can't take part, though nothing is wrong with it
``have BYTES``                     a sign of life, five in each ``hop_timeout``: so many bytes are here
``listening LINK PORT``            the one before it may connect
``linked LINK``                    who connected has proved to know the secret
``lost LINK REASON``               the connection that leads here ended too early
``broken LINK REASON``             the connection to the next one could not be made, or broke
``whole PROGRAM SUM``              all bytes are here, and what ``sha256sum`` or ``cksum`` makes of them
``done``                           the file is in place
``error REASON``                   the end of this host's copy: disk full, no such directory
=================================  ====================================================================================

**A link** is one try to connect two neighbours; its number and two nonces are new for each, and given by the
controller to the side that shows them, for a shell has no good source of chance. The handshake, in lines of ASCII,
the one who connects first::

    execo-chain 1 LINK CALLER_NONCE
                                        LISTENER_NONCE PROOF("listen")
    PROOF("connect")
                                        OFFSET

``PROOF(role)`` is the HMAC-SHA256, keyed by the secret, of ``role execo-chain 1 LINK CALLER_NONCE LISTENER_NONCE`` in
hexadecimal digits. So each side shows that it knows the secret without saying it, and what was overheard is good for
nothing: not for another link, nor in the other role. Python and Perl wait for the next caller after a stranger; nc
takes one, and the controller makes another link.

**The frame.** Everybody knows the size of the file, from the agent's arguments. The listener says how many bytes it
has, ``OFFSET``; then come the bytes from there to the end of the file and nothing else. An earlier end is ``lost``.
Receiving and sending have nothing to do with each other but the part file: the sender reads what is there and waits
for more, so that a link that breaks, on either side, is made again at the byte where it was, by whomever.

**The end.** The controller compares the check sum of every host with its own and has the right ones committed. Agents
stay until all files are in place, for a host that has the file may come to serve any other.

**Patience.** A host from which nothing was heard for ``hop_timeout``, or that makes no progress for as long although
the one before it has more, is passed over (:mod:`.order` says who is blamed). An agent that has not heard from the
controller for a minute ends itself, as it does with its connection.
"""

from __future__ import annotations

from .chain_put import TOOLS, ChainPut, ChainTransfer

__all__ = ("TOOLS", "ChainPut", "ChainTransfer")
