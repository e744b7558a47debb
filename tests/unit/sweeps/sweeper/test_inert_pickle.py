"""A foreign pickle is data: nothing of it runs, whatever it says."""

from __future__ import annotations

import builtins
import collections
import contextlib
import copyreg
import datetime
import functools
import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.sweeps.sweeper.inert_pickle import Malformed, read_pickle
from pytest_execo.sweeps.sweeper.inert_values import MAX_TEXT, Foreign, Items, NotPlain, plain_value

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def read(data: bytes, **options: Any) -> Any:
    return read_pickle(io.BytesIO(data), **options)


@pytest.mark.slow
@given(value=JSON, protocol=st.sampled_from(PROTOCOLS))
def test_plain_data_is_read_as_pickle_reads_it(value: Any, protocol: int) -> None:
    assert plain_value(read(pickle.dumps(value, protocol))) == value


@pytest.mark.slow
@given(value=JSON, protocol=st.sampled_from(PROTOCOLS), cut=st.integers(min_value=1))
def test_what_is_cut_is_refused(value: Any, protocol: int, cut: int) -> None:
    data = pickle.dumps(value, protocol)
    with pytest.raises(Malformed) as caught:
        read(data[: -min(cut, len(data))])
    assert caught.value.offset <= len(data)


@given(data=st.binary(max_size=200))
def test_garbage_is_read_or_refused_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(Malformed, NotPlain):
        plain_value(read(data))


class Marker:
    """Each of its tricks would make the file ``ran``; none may."""

    ran = ""


class Reduced(Marker):
    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.ran}",)


class Evaluated(Marker):
    def __reduce__(self) -> Any:
        return builtins.eval, (f"open({self.ran!r}, 'w')",)


class Executed(Marker):
    def __reduce__(self) -> Any:
        return builtins.exec, (f"open({self.ran!r}, 'w')",)


class Found(Marker):
    def __reduce__(self) -> Any:
        return builtins.getattr, (Marker, "ran")


class Partly(Marker):
    def __reduce__(self) -> Any:
        return functools.partial(os.system, f"touch {self.ran}"), ()


class Stated(Marker):
    def __setstate__(self, state: Any) -> None:
        Path(self.ran).touch()

    def __getstate__(self) -> Any:
        return {"x": 1}


class Iterated(Marker):
    def __reduce__(self) -> Any:
        return list, (), None, iter([1])


class Ordered(collections.OrderedDict[str, int]):
    pass


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Reduced, "a call of posix.system"),
        (Evaluated, "eval"),
        (Executed, "exec"),
        (Found, "getattr"),
        (Partly, "what is made on the way"),
        (Stated, "Stated|_reconstructor"),
        (Iterated, "list"),
        (Ordered, "Ordered"),
    ],
)
def test_a_call_is_named_and_not_made(
    kind: type, words: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Marker, "ran", str(tmp_path / "ran"))
    monkeypatch.setitem(globals(), kind.__name__, kind)
    data = pickle.dumps({"before": 1, "trick": kind(), "after": 2}, protocol)
    value = read(data)
    with pytest.raises(NotPlain, match=words) as caught:
        plain_value(value)
    assert caught.value.offset is not None
    assert 0 < caught.value.offset < len(data)
    assert [key for key, _ in value.items] == ["before", "trick", "after"]
    assert not (tmp_path / "ran").exists()


def test_the_trick_works_on_pickle_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Else the tests above would prove nothing.
    monkeypatch.setattr(Marker, "ran", str(tmp_path / "ran"))
    pickle.loads(pickle.dumps(Reduced()))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"cos\nsystem\n(S'touch ran'\ntR.", "a call of os.system"),
        (b"(S'touch ran'\nios\nsystem\n.", "an object of the class os.system"),
        (b"(cos\nsystem\nS'touch ran'\no.", "an object of the class os.system"),
        (b"\x80\x04cos\nsystem\n\x8c\x01x\x85}\x92.", "an object of the class os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "the class or function os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x0bpath.exists\x93)R.", "a call of os.path.exists"),
        (b"\x80\x04}cos\nenviron\nb.", "an object with a state of its own"),
        (b"\x80\x02\x82\x01.", "number 1 in the extension registry"),
        (b"\x80\x02\x83\x01\x02.", "number 513 in the extension registry"),
        (b"\x80\x02\x84\x01\x02\x00\x00.", "number 513 in the extension registry"),
        (b"Pan id\n.", "a persistent object"),
        (b"\x80\x02K\x01Q.", "a persistent object"),
        (b"\x80\x05\x97\x98.", "a buffer outside of the file"),
        (b"cos\x1b[31m\nsys\n)R.", "a call of os?[31m.sys"),
        (b"c" + b"m" * 500 + b"\nn\n)R.", "mmm..."),
        (b"\x80\x04C\x02ab.", "bytes, which are not text"),
    ],
)
def test_each_way_to_name_something_is_only_noted(data: bytes, what: str) -> None:
    with pytest.raises(NotPlain) as caught:
        plain_value(read(data))
    assert what in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 120


def test_the_extension_registry_is_not_asked() -> None:
    copyreg.add_extension("datetime", "date", 0x7FFF)
    try:
        data = pickle.dumps(datetime.date, 2)
        assert data.startswith(b"\x80\x02\x83")
        assert isinstance(read(data), Foreign)
    finally:
        copyreg.remove_extension("datetime", "date", 0x7FFF)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"0.",
        b"a.",
        b"K\x01K\x02a.",
        b"K\x01K\x02s.",
        b"}K\x01u.",
        b"(K\x01u.",
        b"}(K\x01u.",
        b"]K\x01K\x02s.",
        b"(",
        b"((.",
        b"1.",
        b"t.",
        b"R.",
        b"b.",
        b"\x85.",
        b"g5\n.",
        b"h\x05.",
        b"K\x01K\x02.",
        b"(K\x01.",
        b"\x80\x09K\x01.",
        b"\x80\x04\x80\x04K\x01.",
        b"K\x01\x94\xff.",
        b"\x80\x04K\x01K\x02\x93.",
        b"\x8f(K\x01\x90\x90.",
        b"]\x8f(e.",
        b"I" + b"9" * 10_000 + b"\n.",
        b"L" + b"9" * 10_000 + b"L\n.",
        b"Inope\n.",
        b"Fnope\n.",
        b"Snope\n.",
        b"V\\u12\n.",
        b"X" + struct.pack("<I", 2**32 - 1) + b"x.",
        b"\x8d" + struct.pack("<Q", 2**63) + b"x.",
        b"\x8d" + struct.pack("<Q", 2**62) + b"x.",
        b"\x8e" + struct.pack("<Q", 2**62) + b"x.",
        b"\x96" + struct.pack("<Q", 2**62) + b"x.",
        b"\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
        b"\x8b" + struct.pack("<i", -1) + b"x.",
        b"T" + struct.pack("<i", -5) + b"x.",
    ],
)
def test_what_is_no_pickle_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


def test_a_huge_number_of_the_memo_takes_no_memory() -> None:
    # pickle itself makes room for all the numbers below it: 32 GiB.
    assert read(b"\x80\x02K\x01r\xff\xff\xff\xff.") == 1


@pytest.mark.slow
def test_a_list_in_a_list_twice_and_so_on_is_refused() -> None:
    value: list[Any] = []
    for _ in range(40):
        value = [value, value]
    with pytest.raises(NotPlain, match="more than"):
        plain_value(read(pickle.dumps(value)))


def test_a_long_text_many_times_is_refused() -> None:
    text = "x" * (MAX_TEXT // 10)
    for value in ([text] * 11, {f"{text}{number}": 1 for number in range(11)}, [10**4000] * 1000):
        with pytest.raises(NotPlain, match="characters"):
            plain_value(read(pickle.dumps(value)))


def test_what_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotPlain, match="deep"):
        plain_value(read(pickle.dumps(value)))


def test_deep_nesting_is_refused_without_recursion() -> None:
    value = read(b"(" * 40_000 + b"t" * 40_000 + b".")
    with pytest.raises(NotPlain, match="deep"):
        plain_value(value)
    with pytest.raises(Malformed, match="opcodes"):
        read(b"]" * 2000 + b".", limit=1000)


def test_keys_are_text_and_sets_are_no_levels() -> None:
    for value, words in (({1: 2}, "name that is not text"), ({"x": {1, 2}}, "a set"), ([frozenset((1,))], "a set")):
        with pytest.raises(NotPlain, match=words):
            plain_value(read(pickle.dumps(value)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_sets_keep_their_items_and_are_not_hashed(protocol: int) -> None:
    for value in ({1, 2, 3}, frozenset((1, 2, 3))):
        found = read(pickle.dumps(value, protocol))
        assert isinstance(found, Items)
        assert (found.kind, sorted(found.items)) == ("set", [1, 2, 3])


def test_text_of_python_2() -> None:
    assert read(b"U\x03abc.") == "abc"
    assert read(b"U\x02\xc3\xa9.") == "é"
    assert read(b"U\x01\xe9.") == b"\xe9"


def test_it_goes_on_after_the_end() -> None:
    stream = io.BytesIO(pickle.dumps([1]) + pickle.dumps([2]))
    assert [read_pickle(stream), read_pickle(stream)] == [[1], [2]]
