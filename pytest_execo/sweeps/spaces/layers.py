"""The settings of each repetition: what a space is, without what it shows to people.

Most spaces have one layer: the same settings in each of their repetitions. There are more where settings are repeated
more often than others, and where each repetition has an order of its own. The first layer has all the settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_execo.errors import InvalidSpace

from .chosen import Picked
from .constraints import Predicate, constrained
from .order import random_order
from .parts import Cell, Part, Product, Zip
from .united import params_of, united

__all__ = ("Layer", "Layers")


@dataclass(frozen=True)
class Layer:
    """Settings that have equally many repetitions, in one order."""

    repetitions: int
    part: Part

    @property
    def size(self) -> int:
        return self.repetitions * self.part.size


class Layers:
    """Layers, one after another. Immutable. What is made of them has the rules of the verbs of a space."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = tuple(layers)

    @property
    def settings(self) -> Part:
        return self._layers[0].part

    @property
    def repetitions(self) -> int:
        return sum(layer.repetitions for layer in self._layers)

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self._layers)

    def _from(self) -> Iterator[tuple[int, Layer]]:
        """Each layer with its first repetition."""
        before = 0
        for layer in self._layers:
            yield before, layer
            before += layer.repetitions

    def _at(self, repetition: int) -> Part | None:
        for before, layer in self._from():
            if 0 <= repetition - before < layer.repetitions:
                return layer.part
        return None

    def cell(self, number: int) -> tuple[Cell, int]:
        """Return the cell and the repetition of a number below the size."""
        for before, layer in self._from():
            if number < layer.size:
                repetition, rest = divmod(number, layer.part.size)
                return layer.part.cell(rest), before + repetition
            number -= layer.size
        raise AssertionError("the layers have all the points")

    def number(self, params: Mapping[str, Any], repetition: int) -> int | None:
        """Return the number of a point; ``None`` when there is none like it."""
        skipped = 0
        for before, layer in self._from():
            if 0 <= repetition - before < layer.repetitions:
                number = layer.part.number(params)
                return None if number is None else skipped + (repetition - before) * layer.part.size + number
            skipped += layer.size
        return None

    def has(self, params: Mapping[str, Any], repetition: int) -> bool:
        """Whether there is such a point; of layers without a size too."""
        part = self._at(repetition)
        return part is not None and part.has(params)

    def cells(self) -> Iterator[tuple[Cell, int]]:
        """All cells with their repetitions, in order."""
        for before, layer in self._from():
            for repetition in range(before, before + layer.repetitions):
                for cell in layer.part.cells():
                    yield cell, repetition

    def times(self, other: Layers) -> Layers:
        if len(self._layers) > 1 and len(other._layers) > 1:
            raise InvalidSpace(
                "product: both spaces have repetitions that differ, or are shuffled; multiply first, and shuffle then"
            )
        return Layers(
            Layer(one.repetitions * two.repetitions, Product([one.part, two.part]))
            for one in self._layers
            for two in other._layers
        )

    def united(self, other: Layers) -> Layers:
        ends = sorted({before + layer.repetitions for some in (self, other) for before, layer in some._from()})
        layers = []
        for start, end in zip([0, *ends], ends, strict=False):
            parts = [part for part in (self._at(start), other._at(start)) if part is not None]
            layers.append(Layer(end - start, parts[0] if len(parts) == 1 else united(*parts)))
        return Layers(layers)

    def zipped(self, other: Layers) -> Layers:
        if len(self._layers) > 1 or len(other._layers) > 1:
            raise InvalidSpace(
                "zip: a space has repetitions that differ, or is shuffled; zip first, repeat and shuffle then"
            )
        one, two = self.settings, other.settings
        if one.size != two.size:
            raise InvalidSpace(f"zip: {one.size} settings with {two.size}; they have to be as many")
        return Layers([Layer(self.repetitions * other.repetitions, Zip([one, two]))])

    def constrained(self, predicate: Predicate) -> Layers:
        names = self.settings.names
        return Layers(Layer(one.repetitions, constrained(one.part, predicate, names)) for one in self._layers)

    def repeated(self, times: int) -> Layers:
        return Layers(Layer(one.repetitions * times, one.part) for one in self._layers)

    def picked(self, part: Part, numbers: Sequence[int]) -> Layers:
        """Return the settings with these numbers in ``part``, in this order, in all the repetitions that they have."""
        layers = [Layer(self._layers[0].repetitions, Picked(part, numbers))]
        for layer in self._layers[1:]:
            relaxed, accept = layer.part.relaxed()
            found = [relaxed.number(params_of(part.cell(number))) for number in numbers]
            kept = [one for one in found if one is not None and (accept is None or accept(one))]
            if kept:
                layers.append(Layer(layer.repetitions, Picked(relaxed, kept)))
        return Layers(layers)

    def shuffled(self, seed: int | str, blocks: Sequence[str]) -> Layers:
        return Layers(
            Layer(1, Picked(layer.part, random_order(layer.part, seed, repetition, blocks)))
            for before, layer in self._from()
            for repetition in range(before, before + layer.repetitions)
        )

    @property
    def identity(self) -> tuple[object, ...]:
        """What two equal spaces have in common."""
        merged: list[tuple[int, object]] = []
        for layer in self._layers:
            if merged and merged[-1][1] == layer.part.identity:
                merged[-1] = (merged[-1][0] + layer.repetitions, layer.part.identity)
            else:
                merged.append((layer.repetitions, layer.part.identity))
        return tuple(merged)
