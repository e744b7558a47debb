"""Several sites of one testbed as one place, ``--execo-site=lyon,nancy``: a lease is where it can be had soonest."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..errors import ApiError, RequestNotMet, ReservationFailed, TestbedError
from .contract import Lease, Plan, Remember, Request, Testbed, ignore

__all__ = ("SeveralSites",)

# Sites that have the nodes within so many seconds (of the testbed's clock) of the first one are equally good.
_SOON = 60.0
_Answer = TypeVar("_Answer")


class SeveralSites(Testbed):
    """Sites of one testbed, each with what it knows. Thread-safe where they are.

    A request is met at one site, the one where it fits soonest; of those that have it within a minute of the first, at
    the one with the fewest leases of ours, so that leases taken side by side are at different sites. A request that
    names sites itself (``nodes={"lyon": 1, "nancy": 1}``) is left to the first testbed, which may join them.

    :param testbeds: one for each site, all of one kind, in the order of preference. They belong to this one then:
        :meth:`close` closes them, and what they have to say goes through :attr:`say`.
    :raises ValueError: when there is none, when they are of several kinds, or when a site is there twice.
    """

    def __init__(self, testbeds: Sequence[Testbed]) -> None:
        sites = [testbed.site for testbed in testbeds]
        if not testbeds or len(set(sites)) < len(sites) or len({testbed.name for testbed in testbeds}) > 1:
            kinds = ", ".join(f"{testbed.site} of {testbed.name}" for testbed in testbeds) or "none"
            raise ValueError(f"several sites are different ones of one testbed, and these are: {kinds}")
        first = testbeds[0]
        super().__init__(",".join(sites), nodes=first.default_nodes, options=first.options)
        # Things of the class elsewhere; this class has as many as there are kinds of testbeds.
        vars(self).update(name=first.name, night_types=first.night_types)
        #: In the order of preference.
        self.testbeds: tuple[Testbed, ...] = tuple(testbeds)
        # Asked one after the other: what their copies share is made by the first question.
        self._planning = threading.Lock()
        self._lock = threading.Lock()
        self._asking: Counter[str] = Counter()
        self._held: list[tuple[str, Lease]] = []
        for testbed in testbeds:
            testbed.say = functools.partial(self._said, testbed.site)

    def _said(self, site: str, line: str) -> None:
        self.say(line if line.startswith(f"{site} ") else _from(site, line))

    @classmethod
    def sites(cls) -> Sequence[str]:
        """Name no site: its sites are those of the testbeds that it was given."""
        return ()

    def at(self, site: str) -> Testbed:
        """Return the testbed of one site."""
        return next((testbed for testbed in self.testbeds if testbed.site == site), None) or self.testbeds[0].at(site)

    @property
    def speed(self) -> float:
        """See :attr:`Testbed.speed`: the sites have one clock."""
        return self.testbeds[0].speed

    def now(self) -> float:
        """See :meth:`Testbed.now`."""
        return self.testbeds[0].now()

    # plans

    def plan(self, request: Request) -> Plan:
        """Say where ``request`` fits soonest; the notes say which site. Where it fits nowhere, what each site lacks.

        A site that can't be asked is noted, while another one can have it.

        :raises TestbedError: when it fits at no site, and one could not be asked.
        """
        if request.shares:
            return self.testbeds[0].plan(request)
        plans, errors = self._plans(request)
        fitting = {site: plan for site, plan in plans.items() if not plan.unmet}
        if not fitting:
            return self._nowhere(plans, errors)
        best = self._in_order(fitting, {})[0]
        plan = fitting[best]
        notes = list(plan.notes)
        # Some testbeds say it themselves, and better: theirs may name a cluster of another site.
        if not any(note.startswith(tuple(f"{testbed.site}:" for testbed in self.testbeds)) for note in notes):
            notes.insert(0, f"at {best}")
        notes += [_from(site, f"not considered: {_line(error)}") for site, error in errors.items()]
        return dataclasses.replace(plan, notes=tuple(notes))

    def _plans(self, request: Request) -> tuple[dict[str, Plan], dict[str, TestbedError]]:
        return self._each(lambda testbed: testbed.plan(request))

    def _each(self, ask: Callable[[Testbed], _Answer]) -> tuple[dict[str, _Answer], dict[str, TestbedError]]:
        """Return what each site answers, and why others do not."""
        answers: dict[str, _Answer] = {}
        errors: dict[str, TestbedError] = {}
        for testbed in self.testbeds:
            try:
                with self._planning:
                    answers[testbed.site] = ask(testbed)
            except TestbedError as error:
                errors[testbed.site] = error
        return answers, errors

    def _nowhere(self, plans: Mapping[str, Plan], errors: Mapping[str, TestbedError]) -> Plan:
        """Return what the sites lack. That of one which could not be asked is not known: it may have it later."""
        unmet = [_from(site, line) for site, plan in plans.items() for line in plan.unmet]
        if errors:
            raise _with_others(errors, unmet)
        first = next(iter(plans.values()))
        return Plan(first.nodes, None, first.walltime, tuple(unmet))

    def _in_order(self, plans: Mapping[str, Plan], load: Mapping[str, int]) -> list[str]:
        """Return the sites in the order in which they are tried: soonest first, of equally good ones the least used."""
        # "Now" of a site that was asked first is a little earlier.
        now = time.time()
        starts = {site: float("inf") if plan.start is None else max(now, plan.start) for site, plan in plans.items()}
        soon = min(starts.values()) + _SOON / self.speed

        def rank(site: str) -> tuple[bool, int, float]:
            return (starts[site] > soon, load.get(site, 0) if starts[site] <= soon else 0, starts[site])

        return sorted(plans, key=rank)  # of all the same, in the order of preference

    def gantt(self, request: Request, *, svg: bool = False) -> str | None:
        """Draw all sites, one below the other.

        :raises TestbedError: when no site could be asked.
        """
        if request.shares:
            return self.testbeds[0].gantt(request, svg=svg)
        answers, errors = self._each(lambda testbed: testbed.gantt(request, svg=svg))
        if errors and not answers:
            raise _with_others(errors)
        drawn = {site: text for site, text in answers.items() if text is not None}
        if not drawn:
            return None
        return _stacked(list(drawn.values())) if svg else "\n".join(f"{site}\n{text}" for site, text in drawn.items())

    # leases

    def reserve(self, request: Request, *, remember: Remember = ignore) -> Lease:
        """Reserve at the best site; when that one does not give it, at the next.

        What is told to ``remember`` names the site, and those which were tried before it.

        :raises RequestNotMet: when it fits at no site.
        :raises TestbedError: what the last site said; what the others said is in the notes of the error.
        """
        sites = self._choose(request)
        errors: dict[str, TestbedError] = {}
        told: dict[str, Mapping[str, Any]] = {}
        for site, following in zip(sites, [*sites[1:], None], strict=True):
            try:
                lease = self.at(site).reserve(request, remember=functools.partial(_tell, remember, site, told))
            except (RequestNotMet, ReservationFailed, ApiError) as error:
                errors[site] = error
                if following is not None:
                    self.say(_from(site, f"{_line(error)}; goes on with {following}"))
            else:
                with self._lock:
                    self._held.append((site, lease))
                return lease
            finally:
                with self._lock:
                    self._asking[site] -= 1
                    if site in errors and following is not None:
                        self._asking[following] += 1
        raise _with_others(errors)

    def _choose(self, request: Request) -> list[str]:
        """Return the sites to try, in order; the first one is counted as being asked from now on.

        :raises RequestNotMet: when it fits nowhere.
        """
        if request.shares:  # who names sites is not sent to another one
            with self._lock:
                self._asking[self.testbeds[0].site] += 1
            return [self.testbeds[0].site]
        plans, errors = self._plans(request)
        fitting = {site: plan for site, plan in plans.items() if not plan.unmet}
        if not fitting:
            raise RequestNotMet(self._nowhere(plans, errors).unmet)
        self._forget_ended()
        with self._lock:
            sites = self._in_order(fitting, self._load())
            self._asking[sites[0]] += 1
        return sites

    def _load(self) -> Counter[str]:
        """Count the leases at each site, those that are being asked for included."""
        return self._asking + Counter(site for site, _ in self._held)

    def _forget_ended(self) -> None:
        with self._lock:
            held = list(self._held)
        # Not with the lock: a testbed may have to be asked.
        ended = {id(lease) for _, lease in held if not lease.alive()}
        with self._lock:
            self._held = [(site, lease) for site, lease in self._held if id(lease) not in ended]

    def reclaim(self, remains: Mapping[str, Any]) -> Sequence[str]:
        """Give back what a dead process has left, at each site that it had tried.

        :raises TestbedError: when one of them can't be asked; the others have been.
        """
        lines: list[str] = []
        errors: dict[str, TestbedError] = {}
        try:
            parts = [(part["site"], part["remains"]) for part in (*remains.get("earlier", ()), remains)]
        except (KeyError, TypeError, AttributeError):
            raise TestbedError(f"{self.site}: this tells of no lease of several sites") from None
        for site, part in parts:
            try:
                lines += [_from(site, line) for line in self.at(site).reclaim(part)]
            except TestbedError as error:
                errors[site] = error
        if errors:
            raise _with_others(errors, lines)
        return lines

    def close(self) -> None:
        """Close the testbeds of all sites, whatever happens to one."""
        with contextlib.ExitStack() as closing:
            for testbed in self.testbeds:
                closing.callback(testbed.close)


def _tell(remember: Remember, site: str, told: dict[str, Mapping[str, Any]], remains: Mapping[str, Any]) -> None:
    """Remember what is left at a site, with what a site that refused may have left before."""
    earlier = [{"site": other, "remains": what} for other, what in told.items() if other != site]
    remember({"site": site, "remains": remains, **({"earlier": earlier} if earlier else {})})
    told[site] = remains


def _from(site: str, line: str) -> str:
    return line if line.startswith(f"{site}:") else f"{site}: {line}"


def _line(error: TestbedError) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _with_others(errors: Mapping[str, TestbedError], lines: Sequence[str] = ()) -> TestbedError:
    """Return the last error, the others as its notes: one that may pass, where one of them may."""
    passing = [site for site, error in errors.items() if not isinstance(error, RequestNotMet)]
    last = (passing or list(errors))[-1]
    for note in [*(_from(site, _line(error)) for site, error in errors.items() if site != last), *lines]:
        errors[last].add_note(note)
    return errors[last]


def _stacked(pictures: Sequence[str]) -> str:
    """Put pictures (SVG) one below the other."""
    parts: list[str] = []
    width = height = 0
    for picture in pictures:
        root = picture[picture.index("<svg") :]
        size = {name: int(value) for name, value in re.findall(r'\s(width|height)="(\d+)', root.partition(">")[0])}
        parts.append(f'<svg y="{height}"{root[len("<svg") :]}')
        width, height = max(width, size.get("width", 0)), height + size.get("height", 0)
    inner = "".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">\n{inner}</svg>\n'
