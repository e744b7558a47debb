"""What a campaign leaves on disk, and how it is read again.

::

    execo-results/lyon-2026-03-01T120000/
        campaign.json                who, when, with what: one entry for each session
        records/<session>.jsonl      one line for each attempt at a trial: the truth
        quarantine/<session>.jsonl   lines of that file that can't be read: copies, with their places
        trials/<trial>/attempt-1/    files that tests attached

What may live here: the campaign's directory, records, a trial's measurements, provenance, and readers of all this.
The formats are published as JSON Schemas in :mod:`.schema`. No pytest, no process, no host. Everything loads on
first use; pandas only in :func:`load`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .campaign import Campaign
    from .directories import find_campaign, new_campaign_directory
    from .frame import load
    from .provenance import redact
    from .quarantine import Fault, fault_lines
    from .records import Record, RecordWriter, check_writable, read_records, sync_file, sync_store
    from .trial import Trial

__all__ = (
    "Campaign",
    "Fault",
    "Record",
    "RecordWriter",
    "Trial",
    "check_writable",
    "fault_lines",
    "find_campaign",
    "load",
    "new_campaign_directory",
    "read_records",
    "redact",
    "sync_file",
    "sync_store",
)

_HOMES = {
    "Campaign": "campaign",
    "Fault": "quarantine",
    "Record": "records",
    "RecordWriter": "records",
    "Trial": "trial",
    "check_writable": "records",
    "fault_lines": "quarantine",
    "find_campaign": "directories",
    "load": "frame",
    "new_campaign_directory": "directories",
    "read_records": "records",
    "redact": "provenance",
    "sync_file": "records",
    "sync_store": "records",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
