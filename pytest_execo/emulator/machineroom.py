"""What the platform wants of its machines, in order and without holding up the API.

Switching nodes on takes real seconds, in which jobs, deployments and questions go on. Only who asks how nodes are
reached waits for what was ordered before.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import ExecoError, TestbedError
from .machines import Machines

__all__ = ("MachineRoom",)

_log = logging.getLogger(__name__)
# Real seconds for the orders that are being carried out when it closes; a node manager ends within a few.
_LAST_ORDERS = 60.0


class MachineRoom:
    """Orders to :class:`Machines`, carried out one after the other.

    :param threaded: by a thread of its own; else at once, by whoever orders.
    """

    def __init__(self, machines: Machines, *, threaded: bool = False) -> None:
        self.machines: Machines = machines
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        if threaded:
            self._thread = threading.Thread(target=self._work, name="execo-emulator-machines", daemon=True)
            self._thread.start()

    def provide(
        self,
        site: str,
        nodes: Sequence[str],
        *,
        user: str,
        environment: str | None,
        keys: Sequence[str],
        vlan: str | None,
        failed: Callable[[str], None],
    ) -> None:
        """Have nodes made reachable, fresh. ``failed`` is called with the reason when this machine can't."""

        def order() -> None:
            try:
                self.machines.provide(site, nodes, user=user, environment=environment, keys=keys, vlan=vlan)
            except (ExecoError, OSError) as error:
                _log.warning("nodes %s can't be provided: %s", ", ".join(nodes), error)
                failed(str(error))

        self._order(order)

    def withdraw(self, nodes: Sequence[str]) -> None:
        """Have nodes switched off and their disks forgotten."""
        self._order(lambda: self.machines.withdraw(nodes))

    def power_off(self, node: str) -> None:
        """Have a node die."""
        self._order(lambda: self.machines.power_off(node))

    def reach(self, nodes: Sequence[str], *, timeout: float) -> list[Mapping[str, Any]]:
        """Say how nodes are reached, after all that was ordered before.

        :param timeout: real seconds.
        :raises TestbedError: when that is not done in time.
        """
        answer: queue.SimpleQueue[list[Mapping[str, Any]]] = queue.SimpleQueue()
        self._order(lambda: answer.put(self.machines.reach(nodes)))
        try:
            return answer.get(timeout=timeout)
        except queue.Empty:
            raise TestbedError(f"the nodes were not switched on or off within {timeout:g} s") from None

    def close(self) -> None:
        """End the machines, after the order that is being carried out. A second call does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._thread is not None:
            self._orders.put(None)
            self._thread.join(_LAST_ORDERS)
        self.machines.close()

    def _order(self, order: Callable[[], None]) -> None:
        if self._thread is not None:
            self._orders.put(order)
        else:
            self._carry_out(order)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            if not self._closed.is_set():
                self._carry_out(order)

    def _carry_out(self, order: Callable[[], None]) -> None:
        try:
            order()
        except (ExecoError, OSError) as error:  # a machine that can't be switched off has gone by itself
            _log.info("an order to the machines failed: %s", error)
        except Exception:  # the orders that follow are not to be lost with this one
            _log.exception("an order to the machines failed")
