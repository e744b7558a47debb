"""What docs/spaces.md shows is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[4] / "docs" / "spaces.md"


@pytest.mark.slow
def test_the_examples_run_and_give_what_they_say() -> None:
    pytest.importorskip("scipy")
    pytest.importorskip("pydoe")
    names: dict[str, Any] = {}
    checked = 0
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - our own page
        for line in block.splitlines():
            code, _, comment = line.partition("  # ")
            try:
                wanted = ast.literal_eval(re.split(r": (?=[a-z])", comment)[0])
                compile(code, str(PAGE), "eval")
            except (SyntaxError, ValueError):
                continue
            assert eval(code, names) == wanted, line  # noqa: S307
            checked += 1
    assert checked >= 8
