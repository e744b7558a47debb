"""How long planning takes at the size of Grid'5000: 12 sites, 158 clusters, 939 nodes, 10 jobs each, made up.

python benchmarks/grid5000_planning.py [--nodes 939] [--jobs 10] [--repeat 5] [--seed 1] [--json FILE]

``read`` makes statuses of JSON as the API answers it, ``occupation`` intervals of them, ``earliest`` finds a date for
100 nodes of four sites, ``plan`` the same with nodes and alternatives, ``refused`` tries each date until the end of
the window, ``slots`` lists what is free at each date on one site, ``gantt`` draws all. Medians; the first three
together are to take 0.5 s at most.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_execo.testbeds.grid5000.answers import SiteStatus
from pytest_execo.testbeds.grid5000.planning import earliest, gantt_svg, gantt_text, occupation, plan, slots

SITES = ("grenoble", "lille", "louvain", "luxembourg", "lyon", "nancy", "nantes", "rennes", "sophia", "strasbourg",
         "toulouse", "bordeaux")  # fmt: skip
NOW = 1_750_000_000
WEEKS = 28 * 86400
HOUR = 3600


def made_up(nodes: int, jobs: int, seed: int) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]], dict[str, str]]:
    """Return statuses by site, nodes by cluster, and the site of each cluster. All but bordeaux have clusters."""
    random_ = random.Random(seed)
    site_of = {f"cluster{number}": SITES[number % (len(SITES) - 1)] for number in range(158)}
    clusters: dict[str, list[str]] = {cluster: [] for cluster in site_of}
    for number in range(nodes):
        cluster = f"cluster{number % 158}" if number < 158 else random_.choice(list(clusters))
        clusters[cluster].append(f"{cluster}-{len(clusters[cluster]) + 1}.{site_of[cluster]}.grid5000.fr")
    statuses: dict[str, dict[str, Any]] = {site: {"uid": NOW, "nodes": {}} for site in SITES}
    uid = 0
    for cluster, names in clusters.items():
        for name in names:
            hard = random_.choices(("alive", "standby", "absent", "dead"), (80, 10, 8, 2))[0]
            found: list[dict[str, Any]] = []
            date = NOW - random_.randrange(20 * HOUR)
            for _ in range(jobs):
                uid += 1
                walltime = random_.choice((HOUR, 2 * HOUR, 14 * HOUR, 62 * HOUR)) + random_.randrange(600)
                running = date <= NOW < date + walltime
                found.append({
                    "uid": uid, "state": "running" if running else "waiting", "queue": "default", "types": [],
                    "walltime": walltime, "scheduled_at": date, "started_at": date if running else 0,
                })  # fmt: skip
                date += walltime + random_.choice((0, 0, 120, 2 * HOUR, 20 * HOUR))
            statuses[site_of[cluster]]["nodes"][name] = {"hard": hard, "soft": "busy", "reservations": found}
    return statuses, clusters, site_of


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=939)
    parser.add_argument("--jobs", type=int, default=10, help="of each node")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    raw, clusters, site_of = made_up(options.nodes, options.jobs, options.seed)
    window = (NOW, NOW + WEEKS)
    wanted = {"grid5000": 40, "nancy": 20, "lyon": 20, "rennes": 20}
    statuses = {site: SiteStatus.from_json(site, data) for site, data in raw.items()}
    taken = occupation(statuses, window)
    found = plan(clusters, site_of, taken, wanted, 4 * HOUR, not_before=NOW)
    if found.unmet or sum(len(part.nodes) for part in found.sites) != 100:
        sys.exit(f"the plan is not for 100 nodes: {found}")
    lyon = {cluster: names for cluster, names in clusters.items() if site_of[cluster] == "lyon"}

    def refused(start: float, end: float) -> str:
        return "never"

    steps: dict[str, Callable[[], object]] = {
        "read": lambda: {site: SiteStatus.from_json(site, data) for site, data in raw.items()},
        "occupation": lambda: occupation(statuses, window),
        "earliest": lambda: earliest(taken, clusters, wanted, 4 * HOUR),
        "plan": lambda: plan(clusters, site_of, taken, wanted, 4 * HOUR, not_before=NOW),
        "refused": lambda: plan(clusters, site_of, taken, wanted, 4 * HOUR, not_before=NOW, allowed=refused),
        "slots of lyon": lambda: slots({"lyon": taken["lyon"]}, lyon, 4 * HOUR),
        "gantt, text": lambda: gantt_text(taken, found),
        "gantt, svg": lambda: gantt_svg(taken, found),
    }
    figures = {}
    for name, step in steps.items():
        samples = []
        for _ in range(options.repeat):
            started = time.perf_counter()
            step()
            samples.append(time.perf_counter() - started)
        figures[name] = statistics.median(samples)
        print(f"{name:>14} {figures[name] * 1000:9.1f} ms")
    total = sum(figures[name] for name in ("read", "occupation", "earliest"))
    verdict = "reached" if total <= 0.5 else "NOT REACHED"
    print(
        f"from the answers to a date: {total:.3f} s (0.5 s at most: {verdict}); it starts {found.start - NOW:.0f} s on"
    )
    if options.json:
        facts = {"python": platform.python_version(), "nodes": options.nodes, "jobs": options.jobs}
        options.json.write_text(json.dumps({"machine": facts, "seconds": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
