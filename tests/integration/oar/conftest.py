"""A real OAR 2.5 on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.oar.lab.site import OarLab, Template, missing


@pytest.fixture(scope="session")
def oar_template() -> Iterator[Template]:
    """What all labs start from. Skips where there can be none; in CI, where it can be installed, fails."""
    if (reason := missing()) is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    template = Template()
    yield template
    template.close()


@pytest.fixture(scope="module")
def oar_lab(oar_template: Template) -> Iterator[OarLab]:
    """A site with four nodes of two cores, for the tests of one file.

    It starts in a second, and takes a fifth of a core while it stands idle: too much for a whole session.
    """
    with OarLab(oar_template) as lab:
        yield lab
