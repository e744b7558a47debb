"""Draws leases and trials over time, as in the second figure of the paper; from the campaign's files alone.

python figure.py CAMPAIGN_DIRECTORY
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pytest_execo.results import read_records

COLORS = {"passed": "tab:green", "failed": "tab:red", "pending": "tab:orange", "skipped": "tab:gray"}


def draw(campaign: Path) -> Path | None:
    """Draw all leases of ``campaign`` into its directory; return the picture, or None without a lease."""
    described = json.loads((campaign / "campaign.json").read_text())
    leases = [lease for session in described["sessions"] for lease in session.get("leases", ())]
    if not leases:
        return None
    records = list(read_records(campaign / "records"))
    origin = min(date(lease["taken_at"]) for lease in leases)
    figure = Figure(figsize=(8, 1.5 + 0.3 * len(leases)), layout="constrained")
    axes = figure.subplots()
    for row, lease in enumerate(leases):
        began = date(lease["taken_at"]) - origin
        ended = date(lease.get("given_back_at") or lease["taken_at"]) - origin
        if lease["end"] is not None:
            walltime = date(lease["end"]) - origin
            axes.barh(row, walltime - began, left=began, height=0.8, color="none", edgecolor="tab:gray", linestyle=":")
        axes.barh(row, ended - began, left=began, height=0.8, color="lightsteelblue")
        of_lease = [record for record in records if record["lease"] == lease["id"]]
        for outcome, color in COLORS.items():
            spans = [span(record, origin) for record in of_lease if record["outcome"] == outcome]
            if spans:
                axes.broken_barh(spans, (row - 0.25, 0.5), facecolors=color, edgecolors="white", linewidth=0.3)
        axes.text(ended, row, f"  {len(of_lease)} trials{', lost' if lease.get('lost') else ''}", va="center", size=8)
    for outcome, color in COLORS.items():
        if any(record["outcome"] == outcome for record in records):
            axes.barh(0, 0, color=color, label=outcome)
    done = sum(record["outcome"] == "passed" for record in records)
    axes.set(
        xlabel="time (s)",
        ylabel="lease",
        yticks=range(len(leases)),
        yticklabels=[str(number) for number in range(1, len(leases) + 1)],
        title=f"{done} trials passed on {len(leases)} leases (dotted: until their walltime)",
    )
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.legend(loc="upper right")
    picture = campaign / "leases.png"
    figure.savefig(picture, dpi=150)
    return picture


def date(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def span(record: dict[str, Any], origin: float) -> tuple[float, float]:
    return date(record["started_at"]) - origin, float(record["duration"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python figure.py CAMPAIGN_DIRECTORY")
    print(draw(Path(sys.argv[1])) or "no lease in there")
