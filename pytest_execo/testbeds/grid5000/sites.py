"""The sites of Grid'5000 by name: known without asking, so that ``--execo-site=lyon`` costs nothing."""

from __future__ import annotations

__all__ = ("DOMAIN", "SITES", "full_name", "site_of")

#: Reference data of March 2026; a site that is newer can be named once it is here.
SITES: tuple[str, ...] = (
    "bordeaux", "grenoble", "lille", "louvain", "luxembourg", "lyon", "nancy", "nantes", "rennes", "sophia",
    "strasbourg", "toulouse",
)  # fmt: skip
DOMAIN = "grid5000.fr"


def full_name(node: str, site: str) -> str:
    """Return a node's full name from ``taurus-1``, ``taurus-1.lyon`` or the full name."""
    host, _, rest = node.partition(".")
    return f"{host}.{(rest or site).removesuffix(f'.{DOMAIN}')}.{DOMAIN}"


def site_of(node: str) -> str:
    """Return the site of a node's full name."""
    return node.split(".")[1]
