from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped, unused-ignore]
import pytest

from pytest_execo.errors import CampaignError
from pytest_execo.hosts import Host
from pytest_execo.results import Campaign, find_campaign, new_campaign_directory, provenance
from pytest_execo.results.directories import remove_unfinished
from pytest_execo.results.schema import load_schema


def open_campaign(directory: Path, **options: Any) -> Campaign:
    return Campaign.open(directory, **{"testbed": "embedded", "site": "local", "command": ["pytest"], **options})


def content(directory: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((directory / "campaign.json").read_bytes())
    jsonschema.Draft202012Validator(load_schema("campaign-1")).validate(data)
    return data


def test_a_new_campaign_has_all_it_needs(tmp_path: Path) -> None:
    campaign = open_campaign(tmp_path / "deep" / "c", command=["pytest", "--token=x"], seed=7)
    data = content(campaign.directory)
    assert data["id"] == campaign.id
    assert (data["name"], data["testbed"], data["site"], data["seed"]) == ("c", "embedded", "local", 7)
    assert campaign.records_dir == tmp_path / "deep" / "c" / "records"
    assert campaign.records_dir.is_dir()
    assert campaign.records_path.name == f"{campaign.session}.jsonl"
    (entry,) = data["sessions"]
    assert entry["id"] == campaign.session
    assert entry["command"] == ["pytest", "--token=***"]
    assert entry["ended_at"] is None
    assert "pytest" in entry["versions"]["distributions"]
    assert entry["host"]["memory"] > 2**20


def test_the_description_grows_with_the_session(tmp_path: Path) -> None:
    campaign = open_campaign(tmp_path / "c")
    campaign.describe(nodes=[Host("10.0.0.1", "node-1", description={"cores": 4}), {"name": "node-2"}])
    campaign.describe(nodes=[Host("10.0.0.1", "node-1", description={"cores": 8})], site_note="quiet")
    assert content(campaign.directory)["sessions"][0]["ended_at"] is None
    campaign.describe(counts={"passed": 2}, exit_status=0)
    (entry,) = content(campaign.directory)["sessions"]
    assert entry["nodes"] == [{"name": "node-1", "description": {"cores": 8}}, {"name": "node-2"}]
    assert (entry["counts"], entry["exit_status"], entry["extra"]) == ({"passed": 2}, 0, {"site_note": "quiet"})
    assert entry["ended_at"] >= entry["started_at"]


def test_a_description_that_is_not_json_is_refused(tmp_path: Path) -> None:
    campaign = open_campaign(tmp_path / "c")
    for wrong in ({"nodes": [{"cores": 4}]}, {"other": object()}):
        with pytest.raises(CampaignError, match="the session's description holds"):
            campaign.describe(**wrong)


def test_resuming_keeps_the_campaign_and_adds_a_session(tmp_path: Path) -> None:
    first = open_campaign(tmp_path / "c", seed=1)
    second = open_campaign(tmp_path / "c", seed=2)
    assert first.id == second.id
    assert first.session != second.session
    assert second.seed == 1
    assert [entry["id"] for entry in content(tmp_path / "c")["sessions"]] == [first.session, second.session]
    first.describe(exit_status=1)
    assert [entry["exit_status"] for entry in content(tmp_path / "c")["sessions"]] == [1, None]


def test_the_wrong_site_or_testbed_is_refused(tmp_path: Path) -> None:
    open_campaign(tmp_path / "c", site="lyon")
    with pytest.raises(CampaignError) as caught:
        open_campaign(tmp_path / "c")
    assert str(caught.value) == (
        f"--execo-campaign={tmp_path}/c holds a campaign of site 'lyon', not 'local'; "
        "give --execo-site=lyon or another directory"
    )
    with pytest.raises(CampaignError, match="campaign of testbed 'embedded', not 'grid5000'"):
        open_campaign(tmp_path / "c", site="lyon", testbed="grid5000")
    assert len(content(tmp_path / "c")["sessions"]) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "not a campaign's"),
        ('{"name": "my-npm-package"}', "not a campaign's"),
        ('{"schema": "pytest-execo/campaign/2"}', "of schema 'pytest-execo/campaign/2', not 'pytest-execo/campaign/1'"),
        ('{"schema": "pytest-execo/campaign/1", "id": "a"}', "a damaged campaign, without testbed, site"),
    ],
)
def test_a_campaign_file_that_is_not_ours_is_refused_and_kept(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "campaign.json").write_text(text)
    with pytest.raises(CampaignError, match=message) as caught:
        open_campaign(tmp_path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "campaign.json").read_text() == text


def test_a_directory_of_other_things_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CampaignError, match=r"not empty and without campaign\.json; give a campaign's directory"):
        open_campaign(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_what_a_killed_session_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".campaign.lock").touch()
    (tmp_path / ".campaign.json.x1y2").touch()
    assert open_campaign(tmp_path).records_dir.is_dir()


def test_a_file_instead_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CampaignError, match="file: no campaign can be kept here: File exists"):
        open_campaign(tmp_path / "file")
    with pytest.raises(CampaignError, match="no campaign can be made here: Not a directory"):
        new_campaign_directory(tmp_path / "file" / "below", "local")


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A directory that can be read and not be written, also when root runs the tests."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield directory
    os.seteuid(user)
    shutil.rmtree(directory)


def test_a_read_only_directory_is_refused(as_nobody: Path) -> None:
    with pytest.raises(CampaignError, match="no campaign can be kept here: Permission denied; give another directory"):
        open_campaign(as_nobody)


def test_a_campaign_that_is_removed_or_replaced_under_a_session_is_reported(tmp_path: Path) -> None:
    campaign = open_campaign(tmp_path / "c")
    shutil.rmtree(tmp_path / "c")
    with pytest.raises(CampaignError, match="can't be written: No such file"):
        campaign.describe(ended=True)
    open_campaign(tmp_path / "c")
    with pytest.raises(CampaignError, match=f"replaced while session {campaign.session} ran"):
        campaign.describe(ended=True)


def _describe(directory: Path, times: int) -> None:
    campaign = open_campaign(directory)
    for number in range(times):
        campaign.describe(nodes=[{"name": f"{campaign.session}-{number}"}])


@pytest.mark.slow
def test_processes_share_a_campaign(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_describe, args=(tmp_path / "c", 10)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    sessions = content(tmp_path / "c")["sessions"]
    assert [len(session["nodes"]) for session in sessions] == [10] * 4
    assert sorted(os.listdir(tmp_path / "c")) == [".campaign.lock", "campaign.json", "records"]


def test_the_newest_campaign_of_a_site_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "execo-results"
    assert find_campaign(root, "embedded", "local") is None
    open_campaign(root / "b")
    open_campaign(root / "a")
    open_campaign(root / "lyon", site="lyon")
    assert find_campaign(root, "embedded", "local") == root / "a"
    open_campaign(root / "b")  # resumed: the last one that was worked on
    (root / "broken").mkdir()
    (root / "broken" / "campaign.json").touch()
    (root / "other").mkdir()
    assert find_campaign(root, "embedded", "local") == root / "b"
    assert find_campaign(root, "grid5000", "local") is None
    assert "broken/campaign.json: not JSON" in caplog.text


def test_new_directories_have_names_of_their_own(tmp_path: Path) -> None:
    made = [new_campaign_directory(tmp_path / "r", "ly/on") for _ in range(3)]
    assert len({*made}) == 3
    assert all(path.is_dir() and path.name.startswith("ly_on-20") for path in made)
    assert open_campaign(made[0]).directory == made[0]


def test_what_killed_sessions_began_is_removed(tmp_path: Path) -> None:
    whole = new_campaign_directory(tmp_path, "local")
    open_campaign(whole)
    begun = [new_campaign_directory(tmp_path, "local") for _ in range(3)]
    (begun[1] / ".campaign.lock").touch()
    (begun[2] / ".campaign.lock").touch()
    (begun[2] / ".campaign.json.x1y2").write_text("{")
    somebodys = new_campaign_directory(tmp_path, "local")
    (somebodys / "notes").touch()
    (tmp_path / "empty").mkdir()
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {whole.name, somebodys.name, "empty"}


def git(directory: Path, *command: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *command], cwd=directory, check=True, capture_output=True)


@pytest.mark.slow
def test_the_state_of_the_repository(tmp_path: Path) -> None:
    assert provenance.git_state(tmp_path) is None
    assert provenance.git_state(tmp_path / "nowhere") is None
    git(tmp_path, "init", "-b", "trunk")
    assert provenance.git_state(tmp_path) == {"commit": None, "branch": "trunk", "dirty": False}
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    state = provenance.git_state(tmp_path)
    assert state is not None
    assert len(state["commit"]) == 40
    assert state == {"commit": state["commit"], "branch": "trunk", "dirty": False}
    (tmp_path / "a").write_text("2")
    git(tmp_path, "checkout", "--detach")
    assert provenance.git_state(tmp_path) == {"commit": state["commit"], "branch": None, "dirty": True}
