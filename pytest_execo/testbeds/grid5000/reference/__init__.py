"""Grid'5000's reference data: what its nodes are, and which of them meet a condition."""

from __future__ import annotations

from .loading import load_reference, read_document
from .model import Cluster, Disk, Interface, Node, Reference, Site
from .selection import Selection

__all__ = (
    "Cluster",
    "Disk",
    "Interface",
    "Node",
    "Reference",
    "Selection",
    "Site",
    "load_reference",
    "read_document",
)
