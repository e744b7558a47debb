"""Who is measured, what each does in a row, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ("OURS", "PEERS", "Peer")

#: What the others are compared to.
OURS = "pytest-execo"


@dataclass(frozen=True)
class Peer:
    """One tool, in one way of using it.

    :param does: row → what it does there, for the reader of the table: what makes rows comparable, or not.
    :param lacks: row → why it can't; the row says so.
    :param package: distribution in the peers' environment; empty: it runs in this one.
    :param programs: program → the Debian package that has it.
    :param connector: of this package; its row says so where it is not there.
    """

    name: str
    driver: str
    does: Mapping[str, str]
    lacks: Mapping[str, str] = field(default_factory=dict)
    variant: str = ""
    package: str = ""
    programs: Mapping[str, str] = field(default_factory=dict)
    connector: str = ""


_SSH = {"ssh": "openssh-client"}


def _connector(name: str, programs: Mapping[str, str]) -> Peer:
    return Peer(
        f"{OURS} {name}",
        "pytest_execo",
        {
            "contact": f"Remote, connector {name}",
            "ssh_lines": f"Process with stdout_handlers, connector {name}",
            "put": f"Put, connector {name}",
        },
        variant=name,
        connector=name,
        programs=programs,
    )


PEERS: tuple[Peer, ...] = (
    Peer(
        OURS,
        "pytest_execo",
        {
            "contact": "Remote, connector ssh; connections kept",
            "local": "Local: no shell; own session; 3 pipes",
            "lines": "Process with stdout_handlers",
            "ssh_lines": "Process with stdout_handlers, connector ssh",
            "put": "Put, connector ssh (SFTP)",
        },
    ),
    Peer(f"{OURS} sh", "pytest_execo", {"local": "Local: /bin/sh -c; own session; 3 pipes"}, variant="shell"),
    Peer(f"{OURS} chain", "pytest_execo", {"put": "ChainPut"}, variant="chain"),
    _connector("openssh", _SSH),
    _connector("paramiko", {}),
    _connector("taktuk", {**_SSH, "taktuk": "taktuk"}),
    Peer(
        "execo",
        "execo",
        {
            "contact": "Remote: an ssh per host, all at once; none kept",
            "local": "Process: no shell; 3 pipes",
            "lines": "Process with stdout_handlers; nothing kept",
            "ssh_lines": "SshProcess with stdout_handlers; nothing kept",
            "put": "Put: an scp per host",
        },
        package="execo",
        programs=_SSH,
    ),
    Peer(
        "parallel-ssh",
        "parallel_ssh",
        {
            "contact": "run_command, pool of N; connections kept",
            "ssh_lines": "run_command, for line in stdout",
            "put": "scp_send",
        },
        package="parallel-ssh",
    ),
    Peer(
        "clustershell",
        "clustershell",
        {
            "contact": "Task.shell: an ssh per host, fanout 64 (default); none kept",
            "local": "Task.shell, 64 at a time: shell; stderr in stdout; 2 pipes",
            "lines": "Task.shell with ev_read; nothing kept",
            "ssh_lines": "Task.shell with ev_read; nothing kept",
            "put": "Task.copy: an scp per host",
        },
        package="ClusterShell",
        programs=_SSH,
    ),
    Peer(
        "fabric",
        "fabric",
        {
            "contact": "ThreadingGroup.run: a thread per host; connections kept",
            "ssh_lines": "Connection.run with out_stream that splits lines; it keeps all too",
            "put": "Connection.put (SFTP), a thread per host",
        },
        package="fabric",
    ),
    Peer(
        "pdsh",
        "pdsh",
        {"contact": "an ssh per host, fanout 32 (default); none kept", "ssh_lines": "its output, line by line"},
        {"put": "pdcp gives every copy the same name, and all hosts are one machine here"},
        programs={"pdsh": "pdsh", **_SSH},
    ),
    Peer(
        "taktuk",
        "taktuk",
        {
            "contact": "broadcast exec: a tree of ssh and perl; the tree is kept",
            "put": "broadcast put, down the tree",
        },
        {"ssh_lines": "it cuts lines in two where its buffers end"},
        programs={"taktuk": "taktuk", **_SSH},
    ),
    Peer(
        "asyncssh",
        "asyncssh",
        {
            "contact": "conn.run in a gather, 64 handshakes at a time; connections kept",
            "ssh_lines": "async for line in process.stdout",
            "put": "sftp.put in a gather",
        },
    ),
    Peer(
        "ssh",
        "openssh",
        {
            "contact": "an ssh per host, 64 at a time; none kept",
            "ssh_lines": "for line in Popen(ssh).stdout",
            "put": "an scp per host, all at once",
        },
        programs={**_SSH, "scp": "openssh-client"},
    ),
    Peer(
        "ssh mux",
        "openssh",
        {"contact": "an ssh per host, 64 at a time; ControlMaster kept"},
        variant="mux",
        programs=_SSH,
    ),
    Peer(
        "asyncio",
        "standard_library",
        {
            "local": "create_subprocess_exec: no shell; 3 pipes",
            "lines": "async for line in process.stdout",
        },
        variant="pipes",
    ),
    Peer(
        "asyncio no pipes",
        "standard_library",
        {"local": "create_subprocess_exec: no shell; no pipes"},
        variant="no pipes",
    ),
    Peer("asyncio sh", "standard_library", {"local": "create_subprocess_shell: shell; 3 pipes"}, variant="shell"),
    Peer(
        "Popen",
        "standard_library",
        {"local": "Popen, then communicate: no shell; 3 pipes", "lines": "for line in process.stdout"},
        variant="popen",
    ),
)
