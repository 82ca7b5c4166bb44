"""Sampling: which source frames a clip takes, and what is too large to take."""

from __future__ import annotations

from dataclasses import dataclass

from nlviz.errors import MediaError

MAX_PIXELS = 2**26
"""Pixels of one frame, at most: 8192 × 8192."""

MAX_PLAYED = 2**30
"""Pixels of all frames that an animation has to be played through, at most: some ten seconds."""

MOST_PLAYED = 2**17
"""Frames that an animation has to be played through, at most."""

MAX_DECODED = 2**36
"""Pixels that are decoded of one file, at most: half an hour of 1080p."""

MAX_SECONDS = 300.0
"""Seconds that one file is decoded for, at most, wherever it is opened."""

MAX_BYTES = 2**31
"""Bytes of all frames of a clip together, at most."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """A choice of frames; see ``nlviz.media.read``.

    Raises:
        MediaError: fewer than one frame, a stride below one, or a start before frame 0.
    """

    frames: int = 8
    stride: int | None = None
    start: int = 0

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise MediaError(f"frames must be at least 1; got {self.frames}.")
        if self.stride is not None and self.stride < 1:
            raise MediaError(
                f"stride must be at least 1; got {self.stride}. Choose a larger one, "
                "or leave it out to spread the frames evenly."
            )
        if self.start < 0:
            raise MediaError(f"start={self.start} lies before the first frame; count from 0.")

    def indices(self, total: int, name: str) -> tuple[int, ...]:
        """Source frame indices, rising, out of ``total``; MediaError for a start after the last."""
        if self.start >= total:
            raise MediaError(
                f"'{name}' has {_frames(total)}, counted from 0; start={self.start} lies after "
                f"the last, so choose 0 to {total - 1}."
            )
        if self.stride is not None:
            return tuple(range(self.start, total, self.stride)[: self.frames])
        rest = total - self.start
        count = min(self.frames, rest)
        # round(i · (rest − 1) / (count − 1)), halves up, in whole numbers.
        gaps = max(count - 1, 1)
        return tuple(self.start + (2 * i * (rest - 1) + gaps) // (2 * gaps) for i in range(count))

    def notes(self, total: int) -> tuple[str, ...]:
        """One sentence where the clip is shorter than asked for; none for an image."""
        count = len(self.indices(total, ""))
        if total == 1 or count == self.frames:
            return ()
        where = f"From frame {self.start} on the" if self.start else "The"
        taken = f"all {count} are used" if count > 1 else "it is used"
        step = f" at stride {self.stride}" if self.stride not in (None, 1) else ""
        return (f"{where} clip has {_frames(count)}{step}; {taken}.",)


def usual_overlap(frames: int, step: int = 1) -> int:
    """Frames that a window of so many shares with the next: a quarter, a multiple of ``step``."""
    return min(max(frames // 4 // step * step, step), frames - step)


def check_frame(name: str, width: int, height: int) -> None:
    """MediaError for a frame of more than ``MAX_PIXELS``; to be asked before decoding it."""
    if width < 1 or height < 1:
        raise MediaError(f"'{name}' has no pixels ({width}×{height}); choose another file.")
    if width * height > MAX_PIXELS:
        raise MediaError(
            f"'{name}' is {width}×{height}, {width * height / 1e6:.0f} million pixels; at most "
            f"{MAX_PIXELS / 1e6:.0f} million are read, so make it smaller first."
        )


def check_played(name: str, count: int, width: int, height: int) -> None:
    """MediaError for an animation of more than ``MAX_PLAYED``; to be asked before decoding it.

    Each frame of an animation needs the one before it, however few are taken.
    """
    check_count(name, count)
    played = count * width * height
    if played > MAX_PLAYED:
        raise MediaError(
            f"'{name}' has {_frames(count)} of {width}×{height} to play through, "
            f"{played / 1e6:,.0f} million pixels; at most {MAX_PLAYED / 1e6:,.0f} million are "
            "decoded, so make it smaller or shorter, or save it as H.264 MP4."
        )


def check_count(name: str, count: int) -> None:
    """MediaError for an animation of more than ``MOST_PLAYED`` frames, however small they are."""
    if count > MOST_PLAYED:
        raise MediaError(
            f"'{name}' has more than {MOST_PLAYED:,} frames to play through; make it shorter, or "
            "save it as H.264 MP4."
        )


def check_clip(name: str, count: int, width: int, height: int) -> None:
    """MediaError for a clip of more than ``MAX_BYTES``, saying how many frames would do."""
    check_frame(name, width, height)
    size = count * width * height * 3
    if size > MAX_BYTES:
        raise MediaError(
            f"{_frames(count)} of '{name}' at {width}×{height} need {size / 2**30:.1f} GiB; "
            f"at most {MAX_BYTES / 2**30:g} GiB are used, so ask for "
            f"{MAX_BYTES // (width * height * 3)} frames or fewer, or make it smaller first."
        )


def out_of_memory(name: str) -> MediaError:
    """What to say where the machine has less memory than the clip needs."""
    return MediaError(
        f"Too little memory to read '{name}'; ask for fewer frames, or make it smaller first."
    )


def _frames(count: int) -> str:
    return f"{count} frame" if count == 1 else f"{count} frames"
