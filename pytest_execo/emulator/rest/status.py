"""The state of nodes, disks, VLANs and subnets, and the jobs on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug import Response

from ..site import clusters_of, full_name, nodes_of
from .question import ANONYMOUS, Question
from .refusals import Refusal
from .routes import ITEM, STRING, YES_NO, Route

__all__ = ("ROUTES",)

_SECTIONS = ("nodes", "disks", "vlans", "subnets")
_WAITING = ("waiting", "hold", "tolaunch", "toackreservation", "launching")


def site_status(question: Question, site: str) -> Response:
    """Answer with the state of a site."""
    return _answer(question, site, question.site(site).oar.status(), f"/sites/{site}", _SECTIONS)


def cluster_status(question: Question, site: str, cluster: str) -> Response:
    """Answer with the state of a cluster: nodes and disks only."""
    emulated = question.site(site)
    if cluster not in clusters_of(emulated.data):
        raise Refusal(404, f"Cannot find resource /sites/{site}/clusters/{cluster}")
    names = {full_name(site, node) for entry, node in nodes_of(emulated.data) if entry["uid"] == cluster}
    status = emulated.oar.status()
    status["nodes"] = {name: entry for name, entry in status["nodes"].items() if name in names}
    status["disks"] = {name: entry for name, entry in status["disks"].items() if name.partition(".")[2] in names}
    return _answer(question, site, status, f"/sites/{site}/clusters/{cluster}", _SECTIONS[:2])


def _answer(
    question: Question, site: str, status: Mapping[str, Any], parent: str, sections: tuple[str, ...]
) -> Response:
    address = question.request.args.get("network_address")
    data: dict[str, Any] = {
        "uid": int(question.platform.now()),
        "links": question.links(f"{parent}/status", parent),
    }
    for section in sections:
        if question.says_no(section):
            continue
        entries = status.get(section) or {}
        if section == "nodes" and address:
            entries = {name: entry for name, entry in entries.items() if name == address}
        data[section] = {name: _entry(question, site, entry) for name, entry in entries.items()}
    return question.answer(data)


def _entry(question: Question, site: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of one resource. Who has not said who they are does not learn of jobs."""
    shown = {key: value for key, value in entry.items() if key != "reservations"}
    if question.user == ANONYMOUS or question.says_no("job_details"):
        return shown
    jobs = [
        {key: value for key, value in job.items() if key not in ("events", "links")}
        for job in entry.get("reservations") or ()
        if not (question.says_no("waiting") and job["state"] in _WAITING)
    ]
    return {**shown, "reservations": jobs}


_QUERY = {
    **dict.fromkeys(("nodes", "disks", "vlans", "subnets", "waiting", "job_details"), YES_NO),
    "network_address": STRING,
}

#: All routes of states.
ROUTES: tuple[Route, ...] = (
    Route("GET", "/sites/<site>/status", site_status, "State of a site", {200: ITEM}, _QUERY, backend=True),
    Route(
        "GET",
        "/sites/<site>/clusters/<cluster>/status",
        cluster_status,
        "State of a cluster",
        {200: ITEM},
        _QUERY,
        backend=True,
    ),
)
