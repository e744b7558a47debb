"""Draws total duration against the number of connections, from the records alone: no node is needed.

python figure.py CAMPAIGN_DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from pytest_execo import load

TEST = "test_parallel_connections"
MARKERS = "osD^vPX"


def draw(campaign: Path) -> Path | None:
    """Draw the passed trials of ``campaign`` into its directory; return the picture, or None without a trial."""
    trials = load(campaign)
    trials = trials[(trials.outcome == "passed") & trials.test.str.endswith(TEST)]
    if trials.empty:
        return None
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for (connector, of_connector), marker in zip(trials.groupby("connector"), MARKERS, strict=False):
        medians = of_connector.groupby("connections").duration.median()
        (line,) = axes.plot(medians.index, medians, label=f"{connector}, n = {len(of_connector)}")
        axes.plot(of_connector.connections, of_connector.duration, marker, color=line.get_color(), alpha=0.4, ms=5)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="parallel connections",
        ylabel="total duration (s)",
        title="uname -a over parallel connections: first start to last end\n(points: trials, line: median)",
    )
    axes.set_xticks(sorted(trials.connections.unique()))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(title="connector")
    picture = campaign / "parallel_connections.png"
    figure.savefig(picture, dpi=150)
    return picture


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python figure.py CAMPAIGN_DIRECTORY")
    print(draw(Path(sys.argv[1])) or "no passed trial of this example in there")
