"""Reads the data in a pickle and runs nothing of it.

A pickle is a program: :mod:`pickle` imports what it names and calls it. Here the program is looked at, opcode by
opcode, and only what makes plain data is followed. A class, a call, a persistent object becomes a
:class:`~.inert_values.Foreign`, which says where it was and what; so one that is not understood costs the value it is
in, and no other. There is no list of forbidden names: no name is ever looked up.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Iterator
from typing import Any

from .inert_values import MAX_VALUES, Foreign, Items, Name, short

__all__ = ("Malformed", "read_pickle")


class Malformed(ValueError):
    """Not a pickle from ``offset`` on; ``torn`` when it is one that ends too early."""

    def __init__(self, offset: int, reason: str, *, torn: bool = False) -> None:
        super().__init__(reason)
        self.offset: int = offset
        self.torn: bool = torn


def read_pickle(
    stream: io.BytesIO, *, is_dict: Callable[[str, str], bool] = lambda module, name: False, limit: int = MAX_VALUES
) -> Any:
    """Read one pickle from where ``stream`` stands, and leave it after its end.

    The answer is made of None, bool, int, float, str, bytes, list (tuples too), :class:`Items` and
    :class:`Foreign`.

    :param is_dict: whether the class of this module and name is a dict under another name.
    :param limit: the most opcodes to follow: each of them makes one object at most.
    :raises Malformed: it is not a pickle, or is cut; the offset is where its reader stopped.
    """
    return _Machine(stream, is_dict, limit).run()


class _Machine:
    """The stack, the marks and the memo of one pickle."""

    def __init__(self, stream: io.BytesIO, is_dict: Callable[[str, str], bool], limit: int) -> None:
        self._stream = stream
        self._is_dict = is_dict
        self._limit = limit
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._start = self._offset = stream.tell()

    def run(self) -> Any:
        for opcode, argument, position in self._opcodes():
            self._offset = position
            name = opcode.name
            if name == "STOP":
                value = self._pop()
                if self._stack or self._marked:
                    raise self._malformed("more than one value")
                return value
            if name in _LITERALS:
                self._stack.append(_LITERALS[name](argument))
                continue
            step: Callable[[Any], None] | None = getattr(self, f"_op_{name.lower()}", None)
            if step is None:
                raise self._malformed(f"the opcode {name}")
            step(argument)
        raise self._malformed("its end is missing", torn=True)

    def _opcodes(self) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int]]:
        opcodes = pickletools.genops(self._stream)
        for _ in range(self._limit):
            self._offset = self._stream.tell()
            try:
                opcode, argument, position = next(opcodes)
            except StopIteration:
                return
            except (ValueError, OverflowError, MemoryError) as error:
                # An argument that wants more bytes than there are reads to the end, or fails on its length.
                said = str(error)
                torn = any(words in said for words in ("not enough data", "remain", "exhausted", "no newline"))
                unknown = "unknown" in said and not torn
                reason = "its end is missing" if torn else "an unknown opcode" if unknown else "a wrong argument"
                raise self._malformed(reason, torn=torn) from None
            yield opcode, argument, self._offset if position is None else position
        raise self._malformed(f"more than {self._limit} opcodes")

    def _malformed(self, reason: str, *, torn: bool = False) -> Malformed:
        return Malformed(self._offset, reason, torn=torn)

    def _pop(self) -> Any:
        if not self._stack:
            raise self._malformed("a value is missing")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise self._malformed("a value is missing")
        return self._stack[-1]

    def _items(self) -> list[Any]:
        """What was put on the stack since the last mark."""
        if not self._marked:
            raise self._malformed("a mark is missing")
        items, self._stack = self._stack, self._marked.pop()
        return items

    def _alien(self, what: str) -> None:
        self._stack.append(Foreign(what, self._offset))

    # the framing, the stack, the memo

    def _op_proto(self, version: int) -> None:
        if self._offset != self._start:
            # One that was cut, and the next one behind it: their opcodes would pass for those of one.
            raise self._malformed("its end is missing, another one begins", torn=True)
        if not 0 <= version <= 5:
            raise self._malformed(f"protocol {version}")

    def _op_frame(self, length: int) -> None:
        pass

    def _op_mark(self, _: None) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _op_pop(self, _: None) -> None:
        # A mark is dropped as a value is; the unpickler of Python does the same.
        if self._stack or not self._marked:
            self._pop()
        else:
            self._items()

    def _op_pop_mark(self, _: None) -> None:
        self._items()

    def _op_dup(self, _: None) -> None:
        self._stack.append(self._top())

    def _op_put(self, number: int) -> None:
        self._memo[number] = self._top()

    _op_binput = _op_long_binput = _op_put

    def _op_memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self._top()

    def _op_get(self, number: int) -> None:
        if number not in self._memo:
            raise self._malformed("a reference to nothing")
        self._stack.append(self._memo[number])

    _op_binget = _op_long_binget = _op_get

    # containers

    def _op_list(self, _: None) -> None:
        items = self._items()
        self._stack.append(items)

    _op_tuple = _op_list

    def _take(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._stack.append(items[::-1])

    def _op_tuple1(self, _: None) -> None:
        self._take(1)

    def _op_tuple2(self, _: None) -> None:
        self._take(2)

    def _op_tuple3(self, _: None) -> None:
        self._take(3)

    def _op_append(self, _: None) -> None:
        item = self._pop()
        self._extend([item])

    def _op_appends(self, _: None) -> None:
        self._extend(self._items())

    def _extend(self, items: list[Any]) -> None:
        target = self._top()
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Foreign):
            raise self._malformed("an item for what is not a list")

    def _op_empty_dict(self, _: None) -> None:
        self._stack.append(Items("dict", self._offset))

    def _op_dict(self, _: None) -> None:
        pairs = self._pairs(self._items())
        self._stack.append(Items("dict", self._offset, pairs))

    def _op_setitem(self, _: None) -> None:
        value = self._pop()
        self._update([self._pop(), value])

    def _op_setitems(self, _: None) -> None:
        self._update(self._items())

    def _update(self, flat: list[Any]) -> None:
        target = self._top()
        if isinstance(target, Items) and target.kind == "dict":
            target.items.extend(self._pairs(flat))
        elif not isinstance(target, Foreign):
            raise self._malformed("an item for what is not a dict")

    def _pairs(self, flat: list[Any]) -> list[tuple[Any, Any]]:
        if len(flat) % 2:
            raise self._malformed("a name without its value")
        return list(zip(flat[::2], flat[1::2], strict=True))

    def _op_empty_set(self, _: None) -> None:
        self._stack.append(Items("set", self._offset))

    def _op_frozenset(self, _: None) -> None:
        items = self._items()
        self._stack.append(Items("set", self._offset, items))

    def _op_additems(self, _: None) -> None:
        items = self._items()
        target = self._top()
        if isinstance(target, Items) and target.kind == "set":
            target.items.extend(items)
        elif not isinstance(target, Foreign):
            raise self._malformed("an item for what is not a set")

    # names, and what is called or made by them

    def _op_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(Name(module, name))

    def _op_stack_global(self, _: None) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise self._malformed("a name that is not text")
        self._stack.append(Name(module, name))

    def _op_newobj(self, _: None) -> None:
        arguments, kind = self._pop(), self._pop()
        if self._names_dict(kind) and arguments == []:
            self._stack.append(Items("dict", self._offset))
        else:
            self._alien(f"an object of the class {_called(kind)}")

    def _op_newobj_ex(self, _: None) -> None:
        self._pop()
        self._op_newobj(None)

    def _op_reduce(self, _: None) -> None:
        arguments, function = self._pop(), self._pop()
        # What protocols 0 and 1 write for a subclass of dict, and for a set: data, though it looks like a call.
        if isinstance(function, Name) and isinstance(arguments, list):
            if function in _RECONSTRUCT and len(arguments) == 3:
                kind, base, state = arguments
                if self._names_dict(kind) and base in _DICT and isinstance(state, Items) and state.kind == "dict":
                    self._stack.append(Items("dict", self._offset, state.items))
                    return
            if function in _SET and len(arguments) == 1 and isinstance(arguments[0], list):
                self._stack.append(Items("set", self._offset, arguments[0]))
                return
        self._alien(f"a call of {_called(function)}")

    def _op_inst(self, argument: str) -> None:
        self._items()
        self._alien(f"an object of the class {short(argument.replace(' ', '.'))}")

    def _op_obj(self, _: None) -> None:
        items = self._items()
        self._alien(f"an object of the class {_called(items[0] if items else None)}")

    def _names_dict(self, kind: object) -> bool:
        return isinstance(kind, Name) and self._is_dict(kind.module, kind.name)

    def _op_build(self, _: None) -> None:
        self._pop()
        target = self._top()
        if isinstance(target, Items):
            # The state may change what the object is; its items alone would be a guess.
            target.foreign = Foreign("an object with a state of its own", self._offset)
        elif not isinstance(target, Foreign):
            raise self._malformed("a state for what is not an object")

    def _op_persid(self, argument: object) -> None:
        self._alien("a persistent object")

    def _op_binpersid(self, _: None) -> None:
        self._pop()
        self._alien("a persistent object")

    def _op_ext1(self, code: int) -> None:
        self._alien(f"the class of number {code} in the extension registry")

    _op_ext2 = _op_ext4 = _op_ext1

    def _op_next_buffer(self, _: None) -> None:
        self._alien("a buffer outside of the file")

    def _op_readonly_buffer(self, _: None) -> None:
        self._top()


def _called(value: object) -> str:
    return str(value) if isinstance(value, Name) else "what is made on the way"


def _same(argument: Any) -> Any:
    return argument


def _old_text(argument: str) -> Any:
    # The text of Python 2: bytes, which nearly always are UTF-8.
    raw = argument.encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


_LITERALS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"), _same),
    **dict.fromkeys(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _same),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _same),
    "BYTEARRAY8": bytes,
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _old_text),
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: [],
}

_DICT = (Name("builtins", "dict"), Name("__builtin__", "dict"))
_SET = tuple(Name(module, name) for module in ("builtins", "__builtin__") for name in ("set", "frozenset"))
_RECONSTRUCT = (Name("copyreg", "_reconstructor"), Name("copy_reg", "_reconstructor"))
