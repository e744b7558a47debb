"""The pytest face of pytest-execo: options, marker, fixtures, ordering, outcomes, terminal.

pytest loads this module in every run on the machine, so it must stay cheap: it holds the hooks that decide whether a
run uses execo at all, and nothing else. A run that does gets an :class:`~.session.ExperimentSession`, a plugin object
of its own with all the other hooks.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from . import options
from .fixtures import campaign, deployed, lease, nodes, remote, trial

if TYPE_CHECKING:
    from .session import ExperimentSession

__all__ = ("campaign", "deployed", "lease", "nodes", "remote", "trial")

SESSION: pytest.StashKey[ExperimentSession] = pytest.StashKey()
#: What was wrong with the sweeps met while tests were generated: one line each.
SWEEP_ERRORS: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from . import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "execo(nodes=, walltime=, cluster=, environment=, …): what the test needs of the testbed; tests with equal "
        "needs share a lease.",
    )
    config.addinivalue_line("markers", "execo_sweep(design): set by @pytest_execo.sweep.")
    config.addinivalue_line("markers", "execo_trial(number): set on each trial of a sweep without factors.")
    if options.given(config):
        from . import settings

        settings.check(config)
    if config.getoption("execo_plan") and getattr(config.option, "dist", "no") != "no":
        # A plan is made by one process, and nothing is run. pytest-xdist, which is configured later, sees no workers.
        config.option.dist, config.option.tx, config.option.numprocesses = "no", [], 0


def pytest_report_header(config: pytest.Config) -> str | None:
    if not options.given(config):
        return None
    from . import settings

    read = settings.read(config)
    return f"execo: site {read.site}" + (f", testbed {read.testbed}" if read.testbed else "")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("execo_sweep") is not None:
        from .generation import generate

        error = generate(metafunc)
        if error:
            metafunc.config.stash.setdefault(SWEEP_ERRORS, []).append(error)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist makes a worker: say how to reach the controller."""
    from .controller import Controller

    config: pytest.Config = node.config
    controller = config.pluginmanager.get_plugin("execo-controller")
    if controller is None:
        controller = Controller(config)
        config.pluginmanager.register(controller, "execo-controller")
    node.workerinput["execo"] = controller.broker.invitation(node.gateway.id)


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(_Selection(), "execo-selection")


class _Selection:
    """Has the last word on what is run in which order.

    Of wrappers that want to be first, the one registered last is the outermost: --lf, --ff and their like, registered
    when pytest is configured, are done when it goes to work.
    """

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        yield
        from .usage import uses_execo

        faults = config.stash.setdefault(SWEEP_ERRORS, [])
        if faults or config.getoption("execo_plan") or any(map(uses_execo, items)):
            from .collecting import begin
            from .generation import PAUSED, resume_collector

            try:
                begin(session, items, faults)
            finally:
                if config.stash.get(PAUSED, False):
                    resume_collector()
