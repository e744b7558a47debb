"""What a project that uses nothing of execo pays for the plugin being installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def import_time(pytester: pytest.Pytester, code: str) -> tuple[float, list[str]]:
    """Return the milliseconds that importing our modules took, theirs included that nobody else had asked for."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        cwd=pytester.path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    total, names = 0.0, []
    # "import time: self [us] | cumulative | imported package", children first; ours at the outermost level count.
    inside = -1
    for line in reversed([line for line in result.stderr.splitlines() if line.startswith("import time:")]):
        _, cumulative, name = line.removeprefix("import time:").split("|")
        if not cumulative.strip().isdigit():
            continue
        depth = len(name) - len(name.lstrip())
        if name.strip().split(".")[0] == "pytest_execo":
            names.append(name.strip())
        if inside >= 0 and depth > inside:
            continue
        inside = -1
        if name.strip().split(".")[0] == "pytest_execo":
            inside = depth
            total += int(cumulative) / 1000
    return total, names


def test_importing_the_plugin_takes_less_than_10_ms(pytester: pytest.Pytester) -> None:
    # The best of five: the figure is what the import costs, not what else the machine is doing.
    measured = [import_time(pytester, "import pytest; import pytest_execo.plugin") for _ in range(5)]
    milliseconds, names = min(measured)
    print(f"{milliseconds:.1f} ms for {', '.join(names)}")
    assert "pytest_execo.plugin" in names
    assert milliseconds < 10


def test_a_run_imports_hooks_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="import sys\ndef test_it(): print('loaded', *(m for m in sys.modules if 'execo' in m))")
    result = pytester.runpytest_subprocess("-s", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    (loaded,) = (line.split("loaded ")[1].split() for line in result.stdout.lines if "loaded " in line)
    room = "pytest_execo.plugin"
    assert set(loaded) == {
        "pytest_execo",
        room,
        *(f"{room}.{name}" for name in ("fixtures", "hookspecs", "options", "usage")),
        "pytest_execo.engine",
        "pytest_execo.engine.options",
    }


def test_a_run_makes_no_thread_no_file_no_directory(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, threading
        def test_it():
            assert threading.enumerate() == [threading.main_thread()]
            assert not os.path.exists("execo-results")
        """
    )
    before = sorted(path.name for path in Path(pytester.path).iterdir())
    result = pytester.run(sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("execo*")
    after = {path.name for path in Path(pytester.path).iterdir()} - {"stdout", "stderr"}
    assert sorted(after - set(before)) == []
