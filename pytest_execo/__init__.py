"""pytest-execo: experiments on distributed testbeds as test functions.

This is the front door: every public name, listed once. Each loads its room on first use, so that ``pytest`` in a
project that uses nothing of this pays next to nothing for the plugin being installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine.engine import Engine as Engine
    from .errors import CampaignError as CampaignError
    from .errors import CheckpointError as CheckpointError
    from .errors import ConnectionFailed as ConnectionFailed
    from .errors import ConnectionLost as ConnectionLost
    from .errors import ConnectorError as ConnectorError
    from .errors import ExecoError as ExecoError
    from .errors import ExpectFailed as ExpectFailed
    from .errors import FaultNotAvailable as FaultNotAvailable
    from .errors import InvalidInput as InvalidInput
    from .errors import InvalidMeasurement as InvalidMeasurement
    from .errors import InvalidRequest as InvalidRequest
    from .errors import InvalidSpace as InvalidSpace
    from .errors import LeaseLost as LeaseLost
    from .errors import NotSupported as NotSupported
    from .errors import ProcessError as ProcessError
    from .errors import ProcessFailed as ProcessFailed
    from .errors import RecordError as RecordError
    from .errors import RequestNotMet as RequestNotMet
    from .errors import ReservationFailed as ReservationFailed
    from .errors import StartFailed as StartFailed
    from .errors import TestbedError as TestbedError
    from .errors import TransferFailed as TransferFailed
    from .errors import WaitTimeout as WaitTimeout
    from .hosts import Host as Host
    from .hosts import Hosts as Hosts
    from .plugin.sweep import sweep as sweep
    from .processes import ChainPut as ChainPut
    from .processes import Get as Get
    from .processes import Local as Local
    from .processes import OnBytes as OnBytes
    from .processes import OnLines as OnLines
    from .processes import ParallelActions as ParallelActions
    from .processes import PortForwarder as PortForwarder
    from .processes import Process as Process
    from .processes import Put as Put
    from .processes import Remote as Remote
    from .processes import Report as Report
    from .processes import SequentialActions as SequentialActions
    from .processes import Serial as Serial
    from .processes import State as State
    from .processes import wait_all as wait_all
    from .processes import wait_any as wait_any
    from .processes.taktuk import TaktukGet as TaktukGet
    from .processes.taktuk import TaktukPut as TaktukPut
    from .processes.taktuk import TaktukRemote as TaktukRemote
    from .results import Campaign as Campaign
    from .results import Trial as Trial
    from .results import load as load
    from .sweeps import Level as Level
    from .sweeps import ParamSweeper as ParamSweeper
    from .sweeps import Space as Space
    from .sweeps import Until as Until
    from .testbeds import Lease as Lease
    from .testbeds import Request as Request
    from .testbeds import Testbed as Testbed

# name → the room it lives in
_ROOMS = {
    **dict.fromkeys(
        (
            "CampaignError",
            "CheckpointError",
            "ConnectionFailed",
            "ConnectionLost",
            "ConnectorError",
            "ExecoError",
            "ExpectFailed",
            "FaultNotAvailable",
            "InvalidInput",
            "InvalidMeasurement",
            "InvalidRequest",
            "InvalidSpace",
            "LeaseLost",
            "NotSupported",
            "ProcessError",
            "ProcessFailed",
            "RecordError",
            "RequestNotMet",
            "ReservationFailed",
            "StartFailed",
            "TestbedError",
            "TransferFailed",
            "WaitTimeout",
        ),
        "errors",
    ),
    **dict.fromkeys(("Host", "Hosts"), "hosts"),
    **dict.fromkeys(
        (
            "ChainPut",
            "Get",
            "Local",
            "OnBytes",
            "OnLines",
            "ParallelActions",
            "PortForwarder",
            "Process",
            "Put",
            "Remote",
            "Report",
            "SequentialActions",
            "Serial",
            "State",
            "wait_all",
            "wait_any",
        ),
        "processes",
    ),
    **dict.fromkeys(("TaktukGet", "TaktukPut", "TaktukRemote"), "processes.taktuk"),
    **dict.fromkeys(("Lease", "Request", "Testbed"), "testbeds"),
    **dict.fromkeys(("Level", "ParamSweeper", "Space", "Until"), "sweeps"),
    **dict.fromkeys(("Campaign", "Trial", "load"), "results"),
    "Engine": "engine.engine",
    "sweep": "plugin.sweep",
}

__all__ = tuple(sorted(_ROOMS))  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if room := _ROOMS.get(name):
        from importlib import import_module

        value: object = getattr(import_module(f".{room}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
