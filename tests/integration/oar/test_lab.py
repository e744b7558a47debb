"""The lab itself: it ends as a whole, leaves nothing, and says why when it does not start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.oar.lab.site import OarLab, Template, missing

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Eventually = Callable[..., None]


def left() -> dict[str, set[str]]:
    """What a lab could leave behind."""
    # Others work on this machine: only what has a name that a lab gives is looked at.
    lines = Path("/proc/mounts").read_text().splitlines()
    return {
        "mounts": {line for line in lines if "/run/lab" in line},
        "files": {
            str(p) for p in (*Path("/run").glob("lab*"), *Path("/run").glob("oar*"), *Path("/run/netns").glob("*"))
        },
        "links": {p.name for p in Path("/sys/class/net").iterdir() if p.name.startswith(("br0", "node-"))},
        "groups": {str(p) for p in Path("/sys/fs/cgroup").glob("*/oar*")},
        "users": {line for line in Path("/etc/passwd").read_text().splitlines() if line.startswith(("alice:", "bob:"))},
    }


def members(namespace: str) -> list[str]:
    found = []
    for link in Path("/proc").glob("[0-9]*/ns/mnt"):
        try:
            if os.readlink(link) == namespace:
                found.append(link.parts[2])
        except OSError:
            continue
    return found


def test_two_labs_at_once_and_nothing_is_left(oar_template: Template, eventually: Eventually) -> None:
    before = left()
    with OarLab(oar_template, nodes=1) as one, OarLab(oar_template, nodes=1) as two:
        seen = []
        for lab in (one, two):
            assert "node-1.lab.example.org" in lab.run("oarnodes", "-l", user="alice")
            inside = lab.run("readlink", "/proc/self/ns/mnt").strip()
            assert members(inside)
            seen.append(inside)
            assert left() == before
        assert one.host().port != two.host().port
    # The kernel ends what was in a PID namespace; on a busy machine that takes a moment.
    eventually(lambda: [members(inside) for inside in seen] == [[], []])
    assert left() == before


def test_a_lab_ends_with_its_first_process(oar_template: Template) -> None:
    with OarLab(oar_template, nodes=1) as lab:
        inside = lab.run("readlink", "/proc/self/ns/mnt").strip()
        os.kill(lab.first, signal.SIGKILL)
        assert lab.process.wait(10) != 0
        assert members(inside) == []


def test_a_lab_ends_when_the_test_run_is_killed(oar_template: Template, eventually: Eventually) -> None:
    code = (
        "from pathlib import Path\n"
        "from tests.integration.oar.lab.site import OarLab, Template\n"
        f"lab = OarLab(Template(Path('{oar_template.path}')), nodes=1)\n"
        "print(lab.run('readlink', '/proc/self/ns/mnt').strip(), flush=True)\n"
        "input()\n"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        inside = run.stdout.readline().strip()
        assert members(inside)
        run.kill()
    eventually(lambda: not members(inside))


def test_a_site_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty.tar").write_bytes(b"not a tar file")
    template = Template(tmp_path / "empty.tar")
    with pytest.raises(AssertionError, match="the site did not start: tar: This does not look like a tar archive"):
        OarLab(template)
    template.close()


def test_each_node_is_a_machine_of_its_own(oar_lab: OarLab) -> None:
    seen = set()
    for name in oar_lab.node_names:
        node = oar_lab.host(name)
        assert node.run("hostname").stdout == f"{name}\n"
        seen.add(node.run("readlink /proc/self/ns/pid").stdout)
        node.run("touch /tmp/of-$(hostname)")
        assert node.run("ls /tmp").stdout == f"of-{name}\n"
        assert oar_lab.host(name, user="root").run("id -un").stdout == "root\n"
    assert len(seen) == len(oar_lab.node_names)


def test_what_a_machine_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert missing() == "the OAR lab makes namespaces and needs root"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda program, path: None if program.startswith("oar") else program)
    said = missing()
    assert said is not None
    assert said.startswith("the OAR lab is not installed (apt-get install oar-node oar-server oar-user")
