"""The settings of a pytest run: options, environment, ini file."""

from __future__ import annotations

import os

import pytest

from ..engine.settings import Settings
from ..engine.settings import read as read_given
from ..errors import InvalidRequest
from ..testbeds.registry import check_testbed

__all__ = ("check", "read")


def check(config: pytest.Config) -> None:
    """Refuse bad options before anything is collected.

    :raises pytest.UsageError: with one line that names the option.
    """
    settings = read(config)
    try:
        check_testbed(settings.site, settings.testbed, settings.options)
    except InvalidRequest as error:
        raise pytest.UsageError(str(error)) from None


def read(config: pytest.Config) -> Settings:
    """Return the options; the command line wins over the environment, the environment over the ini file.

    :raises pytest.UsageError: with one line that names the option.
    """
    try:
        return read_given(_Given(config))
    except InvalidRequest as error:
        raise pytest.UsageError(str(error)) from None


class _Given:
    """Options as pytest has them; see :class:`~pytest_execo.engine.settings.Given`."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def value(self, name: str) -> tuple[str | None, str]:
        word = name.replace("-", "_")
        on_the_command_line = self._config.getoption(f"execo_{word}"), f"--execo-{name}="
        sources = (
            (on_the_command_line,)
            if name == "rerun"
            else (
                on_the_command_line,
                (os.environ.get(f"EXECO_{word.upper()}") or None, f"EXECO_{word.upper()}="),
                (self._config.getini(f"execo_{word}") or None, f"execo_{word} = "),
            )
        )
        return next(((value, where) for value, where in sources if value is not None), (None, ""))

    def flag(self, name: str) -> bool:
        given: bool = self._config.getoption(f"execo_{name}")
        return given or (name == "extend" and bool(self._config.getini("execo_extend")))

    def values(self, name: str) -> list[str]:
        return [*self._config.getini(f"execo_{name}"), *self._config.getoption(f"execo_{name}")]
