"""Checks of the project itself: what packages, documents and scripts promise beside the code."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = sorted(path.parent for path in (ROOT / "pytest_execo").rglob("__init__.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("conftest_examples/*/README.md")])
SHELL_SCRIPTS = [ROOT / "run"]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# changelog fragments


def test_changelog_fragments_are_well_formed() -> None:
    types = [kind["directory"] for kind in PYPROJECT["tool"]["towncrier"]["type"]]
    name = re.compile(rf"(\d+|\+[\w-]+)\.({'|'.join(types)})(\.\d+)?\.md")
    for path in (ROOT / "changelog.d").iterdir():
        if path.name == "README.md":
            continue
        assert name.fullmatch(path.name), f"{relative(path)}: write <issue>.<type>.md, with a type of {types}"
        text = path.read_text().strip()
        assert text.endswith("."), f"{relative(path)}: write full sentences"
        assert "\n\n" not in text, f"{relative(path)}: write one paragraph"


def test_the_changelog_has_the_place_where_releases_go() -> None:
    assert PYPROJECT["tool"]["towncrier"]["start_string"] in (ROOT / "CHANGELOG.md").read_text()


# packages


@pytest.mark.parametrize("package", PACKAGES, ids=relative)
def test_each_package_says_what_may_live_in_it(package: Path) -> None:
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text()))
    assert docstring, f"{relative(package)}/__init__.py has no docstring"
    assert len(docstring) > 40, f"{relative(package)}/__init__.py: say what may live here"


def test_each_directory_of_code_is_a_package() -> None:
    directories = {path.parent for path in (ROOT / "pytest_execo").rglob("*.py")}
    assert directories == set(PACKAGES)


def test_library_packages_do_not_import_pytest() -> None:
    for room in ("processes", "connectors", "sweeps", "testbeds", "results", "leases", "emulator", "engine"):
        for path in (ROOT / "pytest_execo" / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                wrong = [name for name in names if name.partition(".")[0] in ("pytest", "_pytest")]
                assert not wrong, f"{relative(path)}:{node.lineno} imports {wrong[0]}"


# what is installed


def test_each_direct_dependency_has_a_lower_bound() -> None:
    # The tox environment `lowest` installs these; without a bound it would install the first release ever.
    extras = PYPROJECT["project"]["optional-dependencies"]
    requirements = [*PYPROJECT["project"]["dependencies"], *(r for extra in extras.values() for r in extra)]
    unbound = [r for r in requirements if ">=" not in r and not r.startswith("pytest-execo[")]
    assert not unbound


def test_the_lowest_pytest_is_the_one_that_pytest_asks_for() -> None:
    (bound,) = (r.partition(">=")[2] for r in PYPROJECT["project"]["dependencies"] if r.startswith("pytest>="))
    assert PYPROJECT["tool"]["pytest"]["ini_options"]["minversion"] == bound


@pytest.mark.slow
def test_the_wheel_has_all_of_the_package_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    schemas = {relative(path) for path in (ROOT / "pytest_execo/results/schema").glob("*.json")}
    assert schemas
    assert held >= {"pytest_execo/py.typed"} | schemas
    assert held >= {relative(path) for path in (ROOT / "pytest_execo").rglob("*.py")}
    assert {name.split("/")[0].partition("-")[0] for name in held} == {"pytest_execo"}


# scripts and documents


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=relative)
def test_scripts_are_posix_shell(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n")
    assert os.access(script, os.X_OK)
    done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_ci_calls_the_test_command_of_the_readme() -> None:
    assert "\n./run tests\n" in (ROOT / "README.md").read_text()
    assert "step ./run tests " in (ROOT / ".ci/run").read_text()


def test_an_unknown_command_is_refused() -> None:
    done = subprocess.run([str(ROOT / "run"), "test"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown command 'test'" in done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{relative(document)}: {target}"
