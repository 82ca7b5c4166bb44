"""A shard: the i-th of n equal parts of a list, for tasks that are numbered from 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from nlviz.errors import BatchError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shard:
    """Every n-th of a list, from the i-th.

    Args:
        number: i, from 1.
        count: n.

    Raises:
        BatchError: a number outside 1 to n.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise BatchError(
                f"Shard {self.number}/{self.count} does not exist; count from 1/{self.count} to "
                f"{self.count}/{self.count}."
                if self.count > 0
                else f"{self.count} shards cannot be; give 1/1 or more."
            )

    @classmethod
    def of(cls, text: str) -> Shard:
        """From ``"i/n"``; BatchError for another text."""
        number, _, count = text.partition("/")
        if not (number.strip().isdecimal() and count.strip().isdecimal()):
            raise BatchError(f"'{text}' is not a shard; write 1/8 for the first of eight.")
        return cls(int(number), int(count))

    def share(self, items: Sequence[T]) -> list[T]:
        """This shard's items, in order."""
        return list(items[self.number - 1 :: self.count])
