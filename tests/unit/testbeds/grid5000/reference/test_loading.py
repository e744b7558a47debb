"""Reference data from each of the three forms, and from what is none of them."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.emulator.sample import sample_reference
from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds.grid5000.reference import Reference, load_reference, read_document


def dump(path: Path) -> Path:
    """Write what ``GET /?deep=1`` answers."""
    file = path / "dump.json"
    document = sample_reference()
    file.write_text(
        json.dumps({"total": 4, "offset": 0, "items": document, "version": document["version"], "links": []})
    )
    return file


def bare_dump(path: Path) -> Path:
    """Write the document alone."""
    file = path / "dump.json"
    file.write_text(json.dumps(sample_reference()))
    return file


def enveloped(path: Path) -> Path:
    """Write a dump whose collections are in the API's envelope."""
    document = sample_reference()
    for site in document["sites"].values():
        for cluster in site["clusters"].values():
            cluster["nodes"] = {"total": len(cluster["nodes"]), "offset": 0, "items": cluster["nodes"]}
        site["clusters"] = {"total": 2, "offset": 0, "items": list(site["clusters"].values())}
    document["sites"] = {"total": 3, "offset": 0, "items": list(document["sites"].values())}
    write(path / "dump.json", document)
    return path / "dump.json"


def nodes_by_name(path: Path) -> Path:
    """Write a dump in which nodes are by name, like sites and clusters."""
    document = sample_reference()
    for site in document["sites"].values():
        for cluster in site["clusters"].values():
            cluster["nodes"] = {node["uid"]: node for node in cluster["nodes"]}
    write(path / "dump.json", document)
    return path / "dump.json"


def tree(path: Path) -> Path:
    """Write the ``data`` directory of the reference repository."""
    document = sample_reference()
    root = path / "data" / "grid5000"
    for name, site in document["sites"].items():
        clusters = site.pop("clusters")
        write(root / "sites" / name / f"{name}.json", site)
        for uid, cluster in clusters.items():
            nodes = cluster.pop("nodes")
            write(root / "sites" / name / "clusters" / uid / f"{uid}.json", cluster)
            for node in nodes:
                write(root / "sites" / name / "clusters" / uid / "nodes" / f"{node['uid']}.json", node)
    del document["sites"]
    write(root / "grid5000.json", document)
    return path / "data"


def answers() -> dict[str, Any]:
    """Return path → answer of a crawl."""
    document = sample_reference()
    found: dict[str, Any] = {}
    for name, site in document["sites"].items():
        clusters = site.pop("clusters")
        for uid, cluster in clusters.items():
            nodes = cluster.pop("nodes")
            found[f"sites/{name}/clusters/{uid}/nodes"] = {"total": len(nodes), "offset": 0, "items": nodes}
        found[f"sites/{name}/clusters"] = {"total": len(clusters), "offset": 0, "items": list(clusters.values())}
    found["sites"] = {"total": 3, "offset": 0, "items": list(document["sites"].values())}
    return found


def crawl(path: Path) -> Path:
    """Write a crawl as files."""
    for name, answer in answers().items():
        write(path / "crawl" / f"{name}.json", answer)
    return path / "crawl"


def crawl_in_one_file(path: Path) -> Path:
    """Write a crawl as one file."""
    write(path / "crawl.json", {f"/{name}": answer for name, answer in answers().items()})
    return path / "crawl.json"


def test_a_crawl_brings_what_a_site_has_beside_clusters(tmp_path: Path) -> None:
    given = answers() | {"sites/lyon/pdus": {"total": 1, "offset": 0, "items": [{"uid": "lyon-pdu1"}]}}
    given["sites/lyon/clusters?queues=all"] = given.pop("sites/lyon/clusters")
    for site in given["sites"]["items"]:
        site["version"] = "5a3b"
    write(tmp_path / "crawl.json", given)
    document = read_document(tmp_path / "crawl.json")
    assert document["sites"]["lyon"]["pdus"] == [{"uid": "lyon-pdu1"}]
    assert list(document["sites"]["lyon"]["clusters"]) == ["taurus", "nova"]
    assert load_reference(document).version == "5a3b"


def write(path: Path, data: object) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("form", [dump, bare_dump, enveloped, nodes_by_name, tree, crawl, crawl_in_one_file])
def test_all_forms_say_the_same(tmp_path: Path, form: Callable[[Path], Path], reference: Reference) -> None:
    loaded = load_reference(form(tmp_path))
    assert {node.name: node for node in loaded.nodes()} == {node.name: node for node in reference.nodes()}
    assert {name: site.vlans for name, site in loaded.sites.items()} == {
        name: site.vlans for name, site in reference.sites.items()
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "can't be read: No such file"),
        ("", "not JSON"),
        ("[1]", "a JSON object is expected"),
        ("{}", "it has no sites"),
        ('{"sites": {}}', "it has no sites"),
        ('{"sites": 5}', "it has no sites"),
        ('{"sites": "lyon"}', "it has no sites"),
        ('{"sites": {"total": 1, "items": [5]}}', "it has no sites"),
        ('{"sites": 5, "sites/lyon/clusters": 5}', "it has no sites"),
        ('{"sites": {"items": 5}, "sites/lyon/clusters": 5}', "it has no sites"),
    ],
)
def test_what_is_none(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "reference.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidRequest, match=words) as caught:
        read_document(path)
    assert str(path) in str(caught.value)


def test_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"neither sites/SITE/SITE\.json nor sites\.json"):
        load_reference(tmp_path)


def test_a_broken_file_in_a_tree_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path)
    broken = root / "grid5000/sites/nancy/clusters/gros/nodes/gros-2.json"
    broken.write_text("{")
    with pytest.raises(InvalidRequest, match=r"gros-2\.json: not JSON"):
        load_reference(root)
    broken.write_text("[]")
    with pytest.raises(InvalidRequest, match=r"gros-2\.json: a JSON object is expected"):
        load_reference(root)


def test_irregular_data_are_no_reason_to_stop() -> None:
    document = sample_reference()
    node = document["sites"]["lyon"]["clusters"]["taurus"]["nodes"][0]
    node |= {"main_memory": None, "architecture": [], "network_adapters": {"eth0": {"rate": "10"}}, "gpu_devices": 3}
    node["supported_job_types"] = {"max_walltime": "x"}
    loaded = load_reference(document).node("taurus-1")
    assert loaded is not None
    assert (loaded.memory, loaded.cores, loaded.gpus, loaded.max_walltime) == (None, None, 0, None)


@pytest.mark.slow
def test_a_set_of_the_size_of_the_real_one_loads_in_a_second(tmp_path: Path) -> None:
    document = sample_reference()
    site = document["sites"]["lyon"]
    (cluster, *_) = site["clusters"].values()
    sites = {}
    for number in range(12):
        clusters = {}
        for other in range(14):
            uid = f"c{number}x{other}"
            nodes = [{**copy.deepcopy(node), "uid": f"{uid}-{n}"} for n, node in enumerate(cluster["nodes"], 1)]
            clusters[uid] = {**cluster, "uid": uid, "nodes": nodes}
        sites[f"site{number}"] = {**site, "uid": f"site{number}", "clusters": clusters}
    (tmp_path / "dump.json").write_text(json.dumps({**document, "sites": sites}))
    began = time.process_time()
    reference = load_reference(tmp_path / "dump.json")
    assert time.process_time() - began < 2  # of CPU; about 0.1 s
    assert sum(1 for _ in reference.nodes()) == 1008
