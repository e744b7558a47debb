"""The public names are what the front door says, and the error tree is what its picture says."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import pytest_execo
from pytest_execo import errors

SOURCE = Path(pytest_execo.__file__).read_text()


def test_every_name_is_there_and_from_here() -> None:
    for name in pytest_execo.__all__:
        value = getattr(pytest_execo, name)
        assert value.__module__.startswith("pytest_execo."), name
    assert set(pytest_execo.__all__) <= set(dir(pytest_execo))


def test_type_checkers_see_the_same_names() -> None:
    (block,) = (node for node in ast.parse(SOURCE).body if isinstance(node, ast.If))
    typed = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == set(pytest_execo.__all__)


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        pytest_execo.Nonsense  # noqa: B018


def test_all_errors_are_in_one_tree_and_in_its_picture() -> None:
    assert errors.__doc__ is not None
    defined = {n: c for n, c in vars(errors).items() if inspect.isclass(c) and c.__module__ == errors.__name__}
    assert set(defined) == set(errors.__all__)
    for name, cls in defined.items():
        assert issubclass(cls, errors.ExecoError)
        assert name in errors.__doc__
