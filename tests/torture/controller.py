"""A controller that the torture kills: starts what it is told on the hosts that it is told, says so, and waits.

    python controller.py <<< JSON

JSON has ``hosts`` (fields of :class:`Host`), and ``commands``, a list of ``[command, options]``; each is started on
every host.
"""

from __future__ import annotations

import json
import sys
import time

from pytest_execo import Host, Remote


def main() -> None:
    told = json.load(sys.stdin)
    hosts = [Host(**host) for host in told["hosts"]]
    groups = [Remote(command, hosts, **options).start() for command, options in told["commands"]]
    deadline = time.monotonic() + 120
    while not all(process.pid is not None for group in groups for process in group):
        if time.monotonic() > deadline:
            sys.exit("not all of them have started")
        time.sleep(0.02)
    failed = [str(process.error) for group in groups for process in group if process.error]
    print(json.dumps({"failed": failed}), flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
