"""Environments as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds.grid5000.answers import Environment
from pytest_execo.testbeds.grid5000.operations import WantedEnvironment, read_environment, unknown_environment


@pytest.mark.parametrize(
    ("text", "wanted", "released_as"),
    [
        ("debian12-min", WantedEnvironment("debian12-min"), "debian12-min"),
        ("mine@jdoe", WantedEnvironment("mine@jdoe"), "mine"),
        ("debian12-min:2025071500", WantedEnvironment("debian12-min", 2025071500), "debian12-min"),
        ("debian12-min:aarch64:3", WantedEnvironment("debian12-min", 3, "aarch64"), "debian12-min"),
        ("https://x.fr/me/mine.yaml", WantedEnvironment("https://x.fr/me/mine.yaml"), "mine"),
    ],
)
def test_what_is_meant(text: str, wanted: WantedEnvironment, released_as: str) -> None:
    assert read_environment(text) == wanted
    assert read_environment(text).released_as == released_as


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mine.yaml", "kadeploy reads no file of this machine"),
        ("/home/me/mine", "kadeploy reads no file of this machine"),
        ("debian 12", "write a name"),
        ("@jdoe", "write a name"),
        ("x:", "write a name"),
    ],
)
def test_what_is_none(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_environment(text)


class Site:
    """What the client says of a site's environments."""

    def environments(
        self, site: str, *, name: str | None = None, user: str | None = None, **_: Any
    ) -> list[Environment]:
        listed = [
            Environment("debian12-min", 1, "x86_64", "deploy"),
            Environment("debian12-min", 2, "x86_64", "deploy"),
            Environment("mine", 1, "x86_64", "jdoe"),
        ]
        return [e for e in listed if name in (None, e.name) and (user or "deploy") == e.user]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("debian12-min", None),
        ("debian12-min:1", None),
        ("mine@jdoe", None),
        ("https://x.fr/mine.yaml", None),
        (
            "debian12-mni",
            "asks for environment 'debian12-mni', lyon has none of this name; did you mean 'debian12-min'?",
        ),
        ("mine", "asks for environment 'mine', lyon has none of this name"),
        (
            "debian12-min:7",
            "asks for environment 'debian12-min' in another version or for another architecture; "
            "lyon has 1 (x86_64), 2 (x86_64)",
        ),
    ],
)
def test_what_a_site_does_not_have_is_said_before_anything_is_reserved(text: str, line: str | None) -> None:
    site: Any = Site()
    said = unknown_environment(site, "lyon", read_environment(text))
    assert said == line or (line is not None and said is not None and said.startswith(line))
