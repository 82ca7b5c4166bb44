"""One sample of a batch, which a block may see as several: frames alone, or in groups."""

from __future__ import annotations

from dataclasses import dataclass

from nlviz.errors import CaptureError


@dataclass(frozen=True, slots=True)
class Sample:
    """Which part of every batch to keep.

    Args:
        number: the element of the module's input; None if all of it is one clip.
        batch: how many elements the module's input has.
        first: whether the batch is certainly the input's first axis, as for images and clips; a
            sequence may have its length there.
    """

    number: int | None
    batch: int
    first: bool = True

    def elements(self, length: int) -> slice:
        """The elements of a batch of ``length`` that belong to the sample, in order.

        Where the network folds its frames into the batch, or groups of them, each sample is a run
        of elements; where it folds the input's elements into clips, an element is a clip.

        Raises:
            CaptureError: the batch has no such sample, or does not divide evenly.
        """
        if self.number is None:
            return slice(0, length)
        uneven = length % self.batch and self.batch % length
        if uneven and self.first:
            raise CaptureError(
                f"ran on a batch of {length}, which does not divide evenly among the "
                f"{self.batch} samples of the input"
            )
        run = 1 if uneven else max(length // self.batch, 1)
        if not 0 <= self.number < length // run:
            raise CaptureError(
                f"has no sample {self.number} in its batch of {length // run}; "
                f"choose one of 0 to {length // run - 1}"
            )
        return slice(self.number * run, (self.number + 1) * run)
