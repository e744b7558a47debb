"""Makes the picture when the run is over."""

from __future__ import annotations

import sys
from pathlib import Path

from pytest_execo import Campaign

sys.path.insert(0, str(Path(__file__).parent))


def pytest_execo_report(campaign: Campaign) -> Path | None:
    import figure

    return figure.draw(campaign.directory)
