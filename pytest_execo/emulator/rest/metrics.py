"""Metrics as Kwollect serves them, and the health of a site."""

from __future__ import annotations

import datetime as dt
import zoneinfo

from werkzeug import Response

from ..kwollect import MOST_VALUES, TooManyValues
from .jobs import find_job
from .question import Question
from .refusals import Refusal
from .routes import ARRAY, INTEGER, OBJECT, STRING, Route

__all__ = ("ROUTES",)

# What is shown when no dates are given, seconds.
_DEFAULT_WINDOW = 300.0
_PARIS = zoneinfo.ZoneInfo("Europe/Paris")


def show_metrics(question: Question, site: str) -> Response:
    """Answer with a bare list of values."""
    emulated = question.site(site)
    asked = question.request.args
    metrics = asked["metrics"].split(",") if asked.get("metrics") else None
    with question.platform.at_now():  # and no longer: many values take a while
        now = question.platform.now()
        if "job_id" in asked:
            number = find_job(emulated, asked["job_id"]).id
            began, ended = emulated.period_of_job(number) or (now, now)
            nodes, start, end = list(emulated.nodes_of_job.get(number, ())), began, now if ended is None else ended
        else:
            nodes = asked["nodes"].split(",") if asked.get("nodes") else emulated.kwollect.nodes
            end = min(now, _date(asked.get("end_time"), now))
            start = _date(asked.get("start_time"), end - _DEFAULT_WINDOW)
    try:
        values = emulated.kwollect.series(nodes, metrics, start, end, summary=question.says_yes("summary"))
    except TooManyValues:
        raise Refusal(400, f"More than {MOST_VALUES} values: ask for fewer nodes, metrics or seconds") from None
    return question.answer(values)


def _date(text: str | None, default: float) -> float:
    """Return a Unix date from one, or from an ISO date: in Paris unless it says where. :raises Refusal: 400."""
    if text is None or text == "":
        return default
    try:
        try:
            date = float(text)
        except ValueError:
            # A + that was not escaped in the query has become a space.
            moment = dt.datetime.fromisoformat(text if "T" not in text else text.replace(" ", "+"))
            date = moment.replace(tzinfo=moment.tzinfo or _PARIS).timestamp()
        if not 0 <= date < 1e11:
            raise ValueError(text)
    except (ValueError, OverflowError):
        raise Refusal(400, f"{text!r} is no date") from None
    return date


def health(question: Question, site: str) -> Response:
    """Say that the site is well."""
    question.site(site)
    return question.answer({"status": "OK"})


#: All routes of metrics and health.
ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/sites/<site>/metrics",
        show_metrics,
        "Metrics",
        {200: ARRAY, 400: "an unreadable date, or too many values"},
        {
            **dict.fromkeys(("nodes", "metrics", "start_time", "end_time", "summary"), STRING),
            "job_id": INTEGER,
        },
        still=False,
    ),
    Route("GET", "/sites/<site>/health", health, "Health", {200: OBJECT}),
)
