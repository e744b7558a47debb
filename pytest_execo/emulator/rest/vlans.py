"""VLANs: what there is, who may use it, which interface is where, DHCP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from werkzeug import Response

from ..kavlan import Vlan
from ..site import Site
from .question import Question
from .refusals import Refusal
from .routes import COLLECTION, ITEM, OBJECT, STRINGS, Route, fields

__all__ = ("ROUTES",)

_MINUTE = "max-age=60, private"
_NOT_YOURS = "Not enough privileges on Kavlan resources"
# As the platform's OAR calls itself when it gives a VLAN to a job.
_OAR = "oar"
# What kavlan says of a node → what the API makes of it: all but two words read as unchanged.
_SAID = {
    "success": ("success", "Successfully added to vlan"),
    "unknown": ("failure", "Unknown node"),
}
_UNCHANGED = ("unchanged", "Node already in vlan")


def list_vlans(question: Question, site: str) -> Response:
    """Answer with all VLANs of a site."""
    own = f"/sites/{site}/vlans"
    items = [_item(question, site, vlan) for vlan in question.site(site).kavlan.vlans.values()]
    data = question.collection(items, own, f"/sites/{site}")
    more = question.links(own, f"/sites/{site}", ("nodes", f"{own}/nodes", "collection"))[:1]
    more += question.links(own, f"/sites/{site}", ("users", f"{own}/users", "collection"))[:1]
    return question.answer({**data, "links": more + data["links"]})


def show_vlan(question: Question, site: str, vlan: str) -> Response:
    """Answer with a VLAN."""
    return question.answer(_item(question, site, _find(question.site(site), vlan)), cache=_MINUTE)


def _find(site: Site, uid: str) -> Vlan:
    try:
        return site.kavlan.vlans[uid]
    except KeyError:
        raise Refusal(404, f"Vlan {uid} does not exist") from None


def _item(question: Question, site: str, vlan: Vlan) -> dict[str, Any]:
    own = f"/sites/{site}/vlans"
    path = f"{own}/{vlan.uid}"
    others = (("dhcpd", f"{path}/dhcpd", "item"), ("nodes", f"{path}/nodes", "collection"))
    links = question.links(path, own, *others, ("users", f"{path}/users", "collection"))
    return {"uid": vlan.uid, "type": vlan.kind, "links": links}


def set_dhcpd(question: Question, site: str, vlan: str) -> Response:
    """Start or stop the DHCP server of a VLAN."""
    user = question.known_user()
    emulated = question.site(site)
    found = _find(emulated, vlan)
    given = question.fields()
    action = given.get("action")
    if action not in ("start", "stop"):
        raise Refusal(422, "An action ('start' or 'stop') should be provided")
    if not emulated.kavlan.is_authorized(user, found.uid):
        raise Refusal(403, _NOT_YOURS)
    emulated.kavlan.set_dhcp(found.uid, running=action == "start")
    return question.nothing(204)


def no_dhcpd(question: Question, site: str, vlan: str) -> Response:
    """Say that this is not how DHCP servers are asked for."""
    raise Refusal(405, headers={"Allow": "PUT"})


def list_nodes(question: Question, site: str, vlan: str | None = None) -> Response:
    """Answer with the interfaces of all VLANs, or of one."""
    emulated = question.site(site)
    names = emulated.kavlan.interfaces()
    own = f"/sites/{site}/vlans/nodes"
    if vlan is not None:
        found = _find(emulated, vlan)
        names = [name for name in names if emulated.kavlan.vlan_of(name) == found.uid]
        own = f"/sites/{site}/vlans/{found.uid}/nodes"
    items = [_node(question, emulated, name) for name in names]
    return question.answer(question.collection(items, own, own.removesuffix("/nodes")))


def show_node(question: Question, site: str, node: str) -> Response:
    """Answer with the VLAN of an interface."""
    try:
        return question.answer(_node(question, question.site(site), node))
    except KeyError:
        raise Refusal(404, f"Unknown node '{node}'.") from None


def _node(question: Question, site: Site, name: str) -> dict[str, Any]:
    own = f"/sites/{site.uid}/vlans"
    vlan = site.kavlan.vlan_of(name)
    links = question.links(f"{own}/nodes/{name}", f"{own}/nodes", ("vlan", f"{own}/{vlan}", "item"))
    return {"uid": name, "vlan": vlan, "links": links}


def select_nodes(question: Question, site: str) -> Response:
    """Answer with the VLANs of the interfaces in the body; unknown ones are dropped."""
    emulated = question.site(site)
    known = set(emulated.kavlan.interfaces())
    items = [_node(question, emulated, name) for name in _names(question) if name in known]
    own = f"/sites/{site}/vlans/nodes"
    return question.answer(question.collection(items, own, f"/sites/{site}/vlans"))


def _names(question: Question) -> list[str]:
    given = question.json()
    if not isinstance(given, list) or not given:
        raise Refusal(422, "Missing node list")
    return [str(name) for name in given]


def move_nodes(question: Question, site: str, vlan: str) -> Response:
    """Put interfaces into a VLAN."""
    user = question.known_user()
    emulated = question.site(site)
    found = _find(emulated, vlan)
    names = _names(question)
    if not emulated.kavlan.may_move(user, names, found.uid):
        raise Refusal(403, _NOT_YOURS)
    said = emulated.kavlan.move(names, found.uid)
    data = {}
    for name, word in said.items():
        status, message = _SAID.get(word, _UNCHANGED)
        data[name] = {"status": status, "message": message}
    return question.answer(data)


def list_users(question: Question, site: str) -> Response:
    """Answer with who may use which VLANs."""
    own = f"/sites/{site}/vlans/users"
    items = [_user(question, site, user, vlans) for user, vlans in question.site(site).kavlan.all_users().items()]
    return question.answer(question.collection(items, own, f"/sites/{site}/vlans"))


def show_user(question: Question, site: str, user: str) -> Response:
    """Answer with the VLANs of a user: none, of most."""
    return question.answer(_user(question, site, user, question.site(site).kavlan.all_users().get(user, [])))


def _user(question: Question, site: str, user: str, vlans: Iterable[str]) -> dict[str, Any]:
    own = f"/sites/{site}/vlans/users"
    return {"uid": user, "vlans": list(vlans), "links": question.links(f"{own}/{user}", own)}


def list_vlan_users(question: Question, site: str, vlan: str) -> Response:
    """Answer with who may use a VLAN."""
    emulated = question.site(site)
    found = _find(emulated, vlan)
    own = f"/sites/{site}/vlans/{found.uid}/users"
    items = [_right(question, emulated, found, user) for user in emulated.kavlan.users(found.uid)]
    return question.answer(question.collection(items, own, f"/sites/{site}/vlans/{found.uid}"))


def show_vlan_user(question: Question, site: str, vlan: str, user: str) -> Response:
    """Answer with whether a user may use a VLAN."""
    emulated = question.site(site)
    return question.answer(_right(question, emulated, _find(emulated, vlan), user))


def _right(question: Question, site: Site, vlan: Vlan, user: str) -> dict[str, Any]:
    own = f"/sites/{site.uid}/vlans/{vlan.uid}/users"
    status = "authorized" if site.kavlan.is_authorized(user, vlan.uid) else "unauthorized"
    return {"uid": user, "status": status, "links": question.links(f"{own}/{user}", own)}


def let_in(question: Question, site: str, vlan: str, user: str) -> Response:
    """Let a user use a VLAN."""
    emulated = _for_oar(question, site)
    emulated.kavlan.let_in(user, _find(emulated, vlan).uid)
    return question.nothing(204)


def shut_out(question: Question, site: str, vlan: str, user: str) -> Response:
    """Take a user's right to use a VLAN."""
    emulated = _for_oar(question, site)
    emulated.kavlan.shut_out(user, _find(emulated, vlan).uid)
    return question.nothing(204)


def _for_oar(question: Question, site: str) -> Site:
    if question.known_user() != _OAR:
        raise Refusal(403, _NOT_YOURS)
    return question.site(site)


_VLANS = "/sites/<site>/vlans"
_VLAN = f"{_VLANS}/<vlan>"
_RIGHTS = "not yours, or not logged in"
_EMPTY = {422: "no nodes"}

#: All routes of VLANs.
ROUTES: tuple[Route, ...] = (
    Route("GET", _VLANS, list_vlans, "VLANs", {200: COLLECTION}),
    Route("GET", _VLAN, show_vlan, "A VLAN", {200: ITEM}),
    Route(
        "PUT",
        f"{_VLAN}/dhcpd",
        set_dhcpd,
        "Start or stop DHCP",
        {204: "", 400: "no JSON", 403: _RIGHTS, 422: "no action"},
        body=fields(action={"type": "string", "enum": ["start", "stop"]}),
        forms=True,
    ),
    *(
        Route(method, f"{_VLAN}/dhcpd", no_dhcpd, "DHCP is only started and stopped", {405: "not so"})
        for method in ("GET", "POST", "DELETE", "PATCH")
    ),
    Route("GET", f"{_VLANS}/nodes", list_nodes, "Interfaces and their VLANs", {200: COLLECTION}),
    Route(
        "POST",
        f"{_VLANS}/nodes",
        select_nodes,
        "VLANs of some interfaces",
        {200: COLLECTION, 400: "no JSON", **_EMPTY},
        body=STRINGS,
    ),
    Route("GET", f"{_VLANS}/nodes/<node>", show_node, "The VLAN of an interface", {200: ITEM}),
    Route("GET", f"{_VLAN}/nodes", list_nodes, "Interfaces in a VLAN", {200: COLLECTION}),
    Route(
        "POST",
        f"{_VLAN}/nodes",
        move_nodes,
        "Put interfaces into a VLAN",
        {200: OBJECT, 400: "no JSON", 403: _RIGHTS, **_EMPTY},
        body=STRINGS,
    ),
    Route("GET", f"{_VLANS}/users", list_users, "Who may use which VLANs", {200: COLLECTION}),
    Route("GET", f"{_VLANS}/users/<user>", show_user, "VLANs of a user", {200: ITEM}),
    Route("GET", f"{_VLAN}/users", list_vlan_users, "Who may use a VLAN", {200: COLLECTION}),
    Route("GET", f"{_VLAN}/users/<user>", show_vlan_user, "Whether a user may use a VLAN", {200: ITEM}),
    Route("PUT", f"{_VLAN}/users/<user>", let_in, "Let a user use a VLAN", {204: "", 403: "only OAR may"}),
    Route("DELETE", f"{_VLAN}/users/<user>", shut_out, "Take that back", {204: "", 403: "only OAR may"}),
)
