"""What the emulator can be asked that Grid'5000 can't: faults, its clock, where nodes are. Needs the emulator's key."""

from __future__ import annotations

from typing import Any

from werkzeug import Response

from ...errors import InvalidRequest, TestbedError
from ..clock import ManualClock
from ..fault import read_fault
from .question import Question
from .refusals import Refusal
from .routes import ARRAY, NUMBER, OBJECT, STRING, Route, fields

__all__ = ("CONTROL_ROUTES",)

# Emulated seconds that a clock may be advanced at once: ten years of nothing take no time, but of work they do.
_FURTHEST = 366 * 86400.0
_MOST_FAULTS = 1000


def list_faults(question: Question) -> Response:
    """Answer with what may still go wrong."""
    return question.answer(question.platform.faults.to_json())


def list_happened(question: Question) -> Response:
    """Answer with what has gone wrong."""
    return question.answer(question.platform.faults.happened)


def add_faults(question: Question) -> Response:
    """Let more go wrong; dates that begin with + count from now."""
    given = question.json()
    if not isinstance(given, list) or len(given) > _MOST_FAULTS:
        raise Refusal(400, f"faults are a list of at most {_MOST_FAULTS} objects")
    try:
        faults = [read_fault(entry) for entry in given]
        question.platform.check_faults(faults)
    except InvalidRequest as error:
        raise Refusal(400, str(error)) from None
    question.platform.faults.add(faults, question.platform.now())
    return question.answer(question.platform.faults.to_json(), 201)


def clear_faults(question: Question) -> Response:
    """Let nothing more go wrong."""
    question.platform.faults.clear()
    return question.nothing(204)


def show_nodes(question: Question) -> Response:
    """Answer with how nodes are reached; those that are off are left out."""
    names = [name for name in question.request.args.get("names", "").split(",") if name]
    try:
        return question.answer(question.platform.reach(names))
    except TestbedError as error:
        raise Refusal(503, str(error)) from None


def show_clock(question: Question) -> Response:
    """Answer with the emulated date."""
    clock = question.platform.clock
    return question.answer({"now": clock.now(), "speed": clock.speed})


def advance_clock(question: Question) -> Response:
    """Let time pass, on a clock that only moves when told."""
    given = question.json()
    seconds = given.get("seconds") if isinstance(given, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _FURTHEST:
        raise Refusal(400, f'write {{"seconds": NUMBER}}, from 0 to {_FURTHEST:.0f}')
    clock = question.platform.clock
    if not isinstance(clock, ManualClock):
        raise Refusal(400, "this clock runs by itself")
    clock.advance(seconds)
    question.platform.advance()
    return show_clock(question)


def list_all_jobs(question: Question) -> Response:
    """Answer with the jobs of all sites, newest first at each."""
    found: list[dict[str, Any]] = []
    for uid, site in question.platform.sites.items():
        found += [{**site.item(job), "site": uid} for job in site.oar.jobs()]
    return question.answer(found)


def shutdown(question: Question) -> Response:
    """End the emulator, as soon as this is answered."""
    question.shutdown()
    return question.nothing(202)


_FAULTS = "/emulator/faults"

#: All routes of the emulator itself.
CONTROL_ROUTES: tuple[Route, ...] = (
    Route("GET", _FAULTS, list_faults, "What may go wrong", {200: ARRAY}),
    Route("POST", _FAULTS, add_faults, "Let more go wrong", {201: ARRAY, 400: "not understood"}, body=ARRAY),
    Route("DELETE", _FAULTS, clear_faults, "Let nothing more go wrong", {204: ""}),
    Route("GET", f"{_FAULTS}/happened", list_happened, "What has gone wrong", {200: ARRAY}),
    Route(
        "GET",
        "/emulator/nodes",
        show_nodes,
        "How nodes are reached",
        {200: ARRAY},
        {"names": STRING},
        still=False,
    ),
    Route("GET", "/emulator/clock", show_clock, "The emulated date", {200: OBJECT}, still=False),
    Route(
        "POST",
        "/emulator/clock/advance",
        advance_clock,
        "Let time pass",
        {200: OBJECT, 400: "not a clock to be set"},
        body=fields(seconds=NUMBER),
    ),
    Route("GET", "/emulator/jobs", list_all_jobs, "All jobs", {200: ARRAY}),
    Route("POST", "/emulator/shutdown", shutdown, "End the emulator", {202: ""}, still=False),
)
