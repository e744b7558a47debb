"""Jobs: list, item, submission, deletion, change of walltime."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from werkzeug import Response

from ..oar.dates import text_of
from ..oar.jobs import OarJob
from ..oar.settings import OarRefused
from ..site import Site
from .question import Question
from .refusals import Refusal, relayed
from .routes import BOOLEAN, COLLECTION, INTEGER, ITEM, OBJECT, PAGE, STRING, STRINGS, YES_NO, Route, fields

__all__ = ("ROUTES", "find_job")

_DATE = re.compile(r"\d{4}-\d\d?-\d\d? \d\d?:\d\d?:\d\d?|\d\d?(:\d\d?){0,2}|now")
_FILTERS = ("user", "name", "project", "queue")
# Fields that OAR gets as they are.
_PASSED = ("name", "project", "queue", "properties", "stdout", "stderr", "notify", "signal", "checkpoint")
_NOT_VALID = "The job you are trying to submit is not valid: "
_BAD_DATE = (
    "Syntax error in reservation {} date, should at least match the format: 'YYYY-MM-DD hh:mm:ss'. "
    "Please see documentation for available date syntaxes."
)
_WALLTIME_NOT_VALID = "The job walltime change you are trying to submit is not valid: "
_ANSWERS = {"yes": True, "no": False, True: True, False: False}


def list_jobs(question: Question, site: str) -> Response:
    """Answer with a page of jobs, newest first."""
    emulated = question.site(site)
    asked = question.request.args
    offset, limit = question.page()
    with_resources = asked.get("resources", "no") != "no"
    matching = [job for job in emulated.oar.jobs() if _matches(job, asked)]
    page = [_item(question, emulated, job, resources=with_resources) for job in matching[offset : offset + limit]]
    own = f"/sites/{site}/jobs"
    data = question.collection(page, own, f"/sites/{site}", total=len(matching), offset=offset)
    return question.answer(data)


def _matches(job: OarJob, asked: Mapping[str, str]) -> bool:
    if "state" in asked:
        # The API capitalizes what it is given: tolaunch becomes Tolaunch, which no job is in, OAR having toLaunch.
        states = [word.strip().capitalize() for word in asked["state"].split(",")]
        if job.state not in states:
            return False
    if "job_id" in asked and asked["job_id"] != str(job.id):
        return False
    return all(asked[name] == getattr(job, name) for name in _FILTERS if name in asked)


def show_job(question: Question, site: str, job: str) -> Response:
    """Answer with a job."""
    emulated = question.site(site)
    return question.answer(_item(question, emulated, find_job(emulated, job)))


def find_job(site: Site, job: str) -> OarJob:
    """Return a job. :raises Refusal: 404."""
    try:
        return site.oar.job(int(job) if job.isascii() and job.isdecimal() and len(job) < 19 else -1)
    except KeyError:
        raise Refusal(404, f"Couldn't find OAR::Job with 'job_id'={job}") from None


def _item(question: Question, site: Site, job: OarJob, *, resources: bool = True) -> dict[str, Any]:
    item = site.item(job, resources=resources)
    own = f"/sites/{site.uid}/jobs"
    return {**item, "links": question.links(f"{own}/{job.id}", own)}


def create_job(question: Question, site: str) -> Response:
    """Submit a job."""
    user = question.known_user()
    emulated = question.site(site)
    given = question.fields()
    _check(given)
    if question.platform.faults.refuses_reservation(question.platform.now(), user):
        raise relayed(_refusal(question, given), site, "jobs.json")
    try:
        number = emulated.oar.submit(user, **_order(given))
    except OarRefused as refused:
        raise relayed(refused, site, "jobs.json") from None
    path = f"/sites/{site}/jobs/{number}"
    item = _item(question, emulated, emulated.oar.job(number))
    return question.answer(item, 201, headers={"Location": question.location(path)})


def _check(given: Mapping[str, Any]) -> None:
    """Refuse what the API itself refuses, with all its reasons."""
    reasons = []
    reservation = given.get("reservation")
    if not given.get("command") and not reservation:
        reasons.append("you must give a :command to execute on launch")
    if reservation is not None and not isinstance(reservation, str):
        reasons.append("`reservation` should be a String.")
    elif reservation:
        for date, which in zip(reservation.split(",", 1), ("start", "end"), strict=False):
            if not _DATE.fullmatch(date.strip()):
                reasons.append(_BAD_DATE.format(which))
    if reasons:
        raise Refusal(400, _NOT_VALID + "; ".join(reasons))


def _order(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what OAR is asked for."""
    resources = given.get("resources") or "nodes=1"
    listed = [str(text) for text in resources] if isinstance(resources, list) else [str(resources)]
    if "walltime" in given:
        # The API cuts the text at its first colon and takes what is left for seconds: 02:00:00 is two of them.
        seconds = int((re.match(r"\s*\d*", str(given["walltime"])) or [""])[0].strip()[:9] or 0)
        listed = [text if "walltime" in text else f"{text},walltime=0:0:{seconds}" for text in listed]
    types = given.get("types") or []
    order: dict[str, Any] = {
        "resources": listed if len(listed) > 1 else listed[0],
        "command": None if given.get("command") is None else str(given["command"]),
        "reservation": given.get("reservation") or None,
        "types": [str(word) for word in types] if isinstance(types, list) else [str(types)],
        "directory": given.get("directory") or given.get("workdir"),
    }
    order |= {name: str(given[name]) for name in _PASSED if given.get(name) not in (None, "")}
    return order


def _refusal(question: Question, given: Mapping[str, Any]) -> OarRefused:
    """Return what OAR says when it is made to refuse."""
    if not given.get("reservation"):
        return OarRefused(8, "There are not enough resources for your request\nOAR_JOB_ID=-5", 400)
    later = text_of(question.platform.now() + 3600)
    return OarRefused(10, f"# Reservation not valid --> KO (This reservation could run at {later})", 400)


def delete_job(question: Question, site: str, job: str) -> Response:
    """Have a job deleted, some time after this answer."""
    user = question.known_user()
    emulated = question.site(site)
    found = find_job(emulated, job)
    if found.user != user:
        raise Refusal(403)
    try:
        said = emulated.oar.delete(user, found.id)
    except OarRefused as refused:
        raise relayed(refused, site, f"jobs/{found.id}.json") from None
    path = f"/sites/{site}/jobs/{found.id}"
    return question.nothing(202, {"Location": question.location(path), "X-Oar-Info": " ".join(said.split())})


def show_walltime(question: Question, site: str, job: str) -> Response:
    """Answer with the walltime of a job and how it may change."""
    question.known_user()
    emulated = question.site(site)
    found = _walltime_job(emulated, job)
    path = f"/sites/{site}/jobs/{found.id}"
    try:
        data = emulated.oar.walltime(found.id)
    except OarRefused as refused:
        raise relayed(refused, site, f"jobs/{found.id}/details.json") from None
    shown = {key: value for key, value in data.items() if value is not None}
    return question.answer({**shown, "uid": found.id, "links": question.links(f"{path}/walltime", path)})


def change_walltime(question: Question, site: str, job: str) -> Response:
    """Ask for another walltime."""
    user = question.known_user()
    emulated = question.site(site)
    given = question.json()
    if not isinstance(given, dict):
        raise Refusal(400)
    found = _walltime_job(emulated, job)
    change = _change(given)
    try:
        emulated.oar.change_walltime(user, found.id, **change)
    except OarRefused as refused:
        raise relayed(refused, site, f"jobs/{found.id}.json") from None
    # Its content type says JSON, and it is none.
    text = f"Walltime change request updated for job {found.id}, it will be handled shortly"
    response = Response(text, 202, content_type="application/json; charset=utf-8")
    response.headers["Location"] = question.location(f"/sites/{site}/jobs/{found.id}/walltime")
    response.headers["Allow"] = question.allow
    return response


def _walltime_job(site: Site, job: str) -> OarJob:
    try:
        return find_job(site, job)
    except Refusal:
        raise Refusal(404, f"Job id '{job}' cannot be found.") from None


def _change(given: Mapping[str, Any]) -> dict[str, Any]:
    reasons = []
    walltime, timeout = given.get("walltime"), given.get("timeout")
    if walltime is None or walltime == "":
        reasons.append("you must give a new walltime")
    elif not isinstance(walltime, str):
        reasons.append("new walltime must be a String")
    if timeout is not None and (not isinstance(timeout, int) or isinstance(timeout, bool)):
        reasons.append("timeout must be an Integer")
    switches = {name: given[name] for name in ("delay_next_jobs", "force", "whole") if given.get(name) is not None}
    for name, value in switches.items():
        if not isinstance(value, bool) and value not in ("yes", "no"):
            reasons.append(f"{name} must be a Boolean")
    if reasons:
        raise Refusal(400, _WALLTIME_NOT_VALID + "; ".join(reasons))
    return {
        "walltime": walltime,
        "timeout": timeout,
        **{name: _ANSWERS[value] for name, value in switches.items()},
    }


_JOBS = "/sites/<site>/jobs"
_JOB = f"{_JOBS}/<job>"
_SUBMISSION = fields(
    resources={"anyOf": [STRING, STRINGS]},
    command=STRING,
    reservation=STRING,
    types=STRINGS,
    properties=STRING,
    queue=STRING,
    project=STRING,
    name=STRING,
    directory=STRING,
    walltime=INTEGER,
)
_SWITCH = {"anyOf": [BOOLEAN, YES_NO]}
_CHANGE = fields(walltime=STRING, force=_SWITCH, delay_next_jobs=_SWITCH, whole=_SWITCH, timeout=INTEGER)
_FILTER = {**PAGE, **dict.fromkeys((*_FILTERS, "state"), STRING), "job_id": INTEGER, "resources": YES_NO}
_OWNER = "not the owner, or not logged in"

#: All routes of jobs.
ROUTES: tuple[Route, ...] = (
    Route("GET", _JOBS, list_jobs, "Jobs, newest first", {200: COLLECTION}, _FILTER, backend=True),
    Route(
        "POST",
        _JOBS,
        create_job,
        "Submit a job",
        {201: ITEM, 400: "not valid, or refused by OAR", 403: "not logged in"},
        body=_SUBMISSION,
        forms=True,
        backend=True,
    ),
    Route("GET", _JOB, show_job, "A job", {200: ITEM}, backend=True),
    Route("DELETE", _JOB, delete_job, "Delete a job", {202: "", 400: "already killed", 403: _OWNER}, backend=True),
    Route("GET", f"{_JOB}/walltime", show_walltime, "A walltime", {200: OBJECT, 403: "not logged in"}, backend=True),
    Route(
        "POST",
        f"{_JOB}/walltime",
        change_walltime,
        "Change a walltime",
        {202: STRING, 400: "not valid", 403: _OWNER},
        body=_CHANGE,
        backend=True,
    ),
)
