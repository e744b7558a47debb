"""What all tests share."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["pytester"]

# pytester forgets the modules that an inner run imports. Ours must stay, for they own a thread, and psycopg, whose
# errors are known by their class; hypothesis, whose plugin is in every inner run too, takes a second each time.
import hypothesis.internal.observability  # noqa: E402
import psycopg  # noqa: E402, F401

import pytest_execo.connectors.ssh  # noqa: E402
import pytest_execo.plugin.session  # noqa: E402, F401


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pytest-execo's own tests")
    group.addoption(
        "--torture-scale",
        type=float,
        default=1.0,
        help="How much torture: 1 is what CI runs, 10 takes ten times as long",
    )
    group.addoption(
        "--torture-seed", type=int, default=None, help="Seed of the torture tests (default: a new one, printed)"
    )


def pytest_configure() -> None:
    # A busy machine must not turn a test red.
    hypothesis.settings.register_profile("pytest-execo", deadline=None)
    hypothesis.settings.load_profile("pytest-execo")
    # A shell without job control starts what is in the background with SIGINT ignored, which children inherit: those
    # of the tests are to be ended by it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # The same of nohup and SIGHUP.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line("next to look at: ./run example, docs/index.md, ./run tox")


@pytest.fixture(scope="session", autouse=True)
def lease_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the lease files of the tests apart from those of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        state = tmp_path_factory.mktemp("state")
        patch.setenv("XDG_STATE_HOME", str(state))
        yield state / "pytest-execo" / "leases"


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait for a condition of the outside world, which has no event to wait for: poll it, with a deadline."""

    def wait(condition: Callable[[], object], timeout: float = 15.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout} s"
            time.sleep(0.01)

    return wait
