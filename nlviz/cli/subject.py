"""Subject: what a question is about, a clip that was just analysed or a session opened again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nlviz.analysis import Analysis
from nlviz.ask.links import best_path, top_links
from nlviz.cli.long import analysis_of, numbers_of, opened, tell, with_neighbours
from nlviz.cli.question import Question
from nlviz.cli.terminal import progress
from nlviz.clip import Clip
from nlviz.errors import QueryError
from nlviz.geometry import View
from nlviz.query import Exclude, Link, Query, layer_of

if TYPE_CHECKING:
    from nlviz.export import Provenance, Session
    from nlviz.inference.user_network import UserNetwork
    from nlviz.windows import LongAnalysis, TimeWindow


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A question and the analysis that answers it.

    Args:
        question: what the command asks.
        analysis: of the input, or of the block's baseline if that was asked for.
        network: what made the analysis; None for a session.
        session: the file that holds the analysis; None for a clip.
        window: which window of a long clip it is; None for a clip without windows.
    """

    question: Question
    analysis: Analysis
    network: Any = None
    session: Session | None = None
    window: TimeWindow | None = None

    @classmethod
    def of(cls, question: Question) -> Subject:
        """The input, opened or run; what reading, loading and analysing it raise.

        Of a clip in windows it is the one window that all places lie in.
        """
        if question.window is not None:
            return cls._of_window(question)
        if not question.of_session:
            return cls.run(question)
        session = _session(question)
        return cls(question, session.analysis, session=session)

    @classmethod
    def each(cls, question: Question) -> Iterator[Subject]:
        """The input as ``of`` gives it; of a clip in windows each that is asked, one by one.

        Without a place that is all of them.
        """
        if question.window is None:
            yield cls.of(question)
            return
        long = cls.long(question)
        asked = numbers_of(long, question)
        needed = with_neighbours(long, list(asked)) if question.neighbours else list(asked)
        tell(long, question, needed)
        for number, of_window in asked.items():
            analysis = analysis_of(long, question, number)
            yield cls(of_window, analysis, long.network, window=long.plan[number])

    @staticmethod
    def long(question: Question) -> LongAnalysis:
        """The input in windows, none of which is run yet."""
        network = _network(question)
        _check_block(question, network)
        return opened(question, network)

    @classmethod
    def _of_window(cls, question: Question) -> Subject:
        if not question.at:
            raise QueryError("A clip in windows has many analyses; name one by a place: --at.")
        long = cls.long(question)
        asked = numbers_of(long, question)
        if len(asked) > 1:
            first, second, *_ = (long.plan[number] for number in asked)
            indices = long.stream.indices
            raise QueryError(
                "The places lie in several windows, such as frames "
                f"{indices[first.own_start]} to {indices[first.own_stop - 1]} and "
                f"{indices[second.own_start]} to {indices[second.own_stop - 1]}; ask one at a time."
            )
        (number,) = asked
        tell(long, question, [number])
        return cls(
            question, analysis_of(long, question, number), long.network, window=long.plan[number]
        )

    @classmethod
    def run(cls, question: Question) -> Subject:
        """The input run through the network; QueryError for a session, which has none."""
        return cls(question, *_run(question))

    def beside(self, input: str, *, start: int) -> Analysis:
        """Another input through the same network with the same options, its first frame apart.

        QueryError for a clip where this is a session, which has no network to run.
        """
        asked = self.question
        frames = asked.window if asked.frames is None else asked.frames
        other = replace(asked, input=input, start=start, frames=frames, at=(), window=None)
        if other.of_session:
            return _session(other).analysis
        if self.network is None:
            raise QueryError(
                f"'{asked.input}' has no network to run '{input}' through; give its clip itself, "
                "or two sessions."
            )
        from nlviz.inference.loading import declares_its_input

        own = self.network if declares_its_input(asked.model) else None
        return _analysed(other, _clip(other, own), self.network)

    @property
    def blocks(self) -> tuple[str, ...]:
        """The block that was named, else all there are; a baseline is the only one."""
        block = self.question.block
        return self.analysis.blocks if block is None or self.question.baseline else (block,)

    @property
    def block(self) -> str:
        """The block that is asked: the one that was named, or the default."""
        return self.blocks[0] if len(self.blocks) == 1 else self.analysis.default_block

    @property
    def queries(self) -> list[Query]:
        """One query for each place, region and token; a session has its own."""
        return self.queries_of(self.block)

    def queries_of(self, block: str) -> list[Query]:
        """The same questions of one block; those of a session are of its own blocks."""
        asked = self.question
        if not asked.at and self.session is not None:
            return list(self.session.queries)
        # A picture has no other frame to link to, nor has a block that sees each frame by itself.
        alone = not self.analysis.affinity(block).joins_frames
        exclude: Exclude = asked.exclude or ("cell" if alone else "frame")
        return [
            Query(place, block, asked.k, exclude, asked.head, asked.reverse, asked.rank)
            for place in asked.at
        ]

    def answers(self, *, path: bool) -> list[tuple[Link, ...]]:
        """The links of each query: the k heaviest, or the path."""
        answer = best_path if path else top_links
        return [answer(self.analysis, query) for query in self.queries]

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a session keeps of the view, where its own pins are asked about; else nothing."""
        return {} if self.session is None or self.question.at else self.session.settings

    def provenance(self, queries: Sequence[Query]) -> Provenance:
        """How an export of this command was made: what was typed, and the weights of then."""
        from nlviz.export import Provenance

        made = Provenance.of(self.analysis, queries, command=self.question.typed)
        if self.session is None:
            return made
        before = self.session.provenance
        return replace(made, weights=before.weights, model=before.model)


def _session(question: Question) -> Session:
    """The session that the input is."""
    from nlviz.export import open_session

    if question.baseline:
        raise QueryError(
            f"'{question.input}' has no network to run again; give the clip itself for --baseline."
        )
    session = open_session(question.input)
    if any(each is not None for each in (question.frames, question.stride, question.size)):
        print("note: A session keeps the frames and the size it was made with.", file=sys.stderr)
    if not question.at and question.asks_its_own_way:
        print(
            "note: The session's own places are asked as they were; give --at to ask otherwise.",
            file=sys.stderr,
        )
    return session


def _run(question: Question) -> tuple[Analysis, Any]:
    """The analysis of the input, and the network."""
    if question.of_session:
        raise QueryError(f"'{question.input}' has no network to run again; give the clip itself.")
    from nlviz.inference.loading import declares_its_input

    # These say how many frames they take once they are loaded; others load when need be.
    early = question.frames is None and declares_its_input(question.model)
    loaded = _network(question) if early else None
    clip = _clip(question, loaded)
    loaded = _network(question) if loaded is None else loaded
    _check_block(question, loaded)
    analysis = _analysed(question, clip, loaded)
    if question.rank == "contribution":
        from nlviz.experiments.ablation import with_sizes

        analysis = with_sizes(analysis, loaded)
    if question.baseline:
        from nlviz.experiments.baselines import baseline

        block = question.block or analysis.default_block
        analysis = baseline(analysis, loaded, block, question.baseline)
    return analysis, loaded


def _analysed(question: Question, clip: Clip, network: Any) -> Analysis:
    """A clip through a network, and its notes on standard error."""
    from nlviz.inference.forward import analyse

    analysis = analyse(
        clip, network, size=question.size, progress=progress, features=question.features
    )
    for note in analysis.clip.notes[len(clip.notes) :]:
        print(f"note: {note}", file=sys.stderr)
    for why in analysis.refused.values():
        print(f"note: {why}", file=sys.stderr)
    analysis.check_similarities(question.features)
    return analysis


def _check_block(question: Question, network: Any) -> None:
    """QueryError for a block that is known not to be there."""
    asked = None if layer_of(question.block or "") is not None else question.block
    if network.taps and asked not in (None, *network.taps):
        raise QueryError(
            f"Block {question.block!r} does not exist in {network.name}; choose one of "
            f"{', '.join(network.taps)}."
        )


def _network(question: Question) -> Any:
    from nlviz.inference.loading import is_by_name, load

    by_name = is_by_name(question.model)
    network = load(
        question.model,
        device=question.device,
        weights=question.weights,
        input=question.input_record if by_name else dict(question.record) or None,
        trust=question.trust,
    )
    if by_name:
        print(f"note: {network.name}: {network.summary}", file=sys.stderr)
    return network


def _clip(question: Question, own: UserNetwork | None) -> Clip:
    """The frames that are asked for, or as many as the network wants; a wrong place is refused."""
    from nlviz.inference.loading import usual_frames
    from nlviz.media import read

    frames = usual_frames(question.model, own) if question.frames is None else question.frames
    clip = read(question.input, frames=frames, stride=question.stride, start=question.start)
    for note in clip.notes:
        print(f"note: {note}", file=sys.stderr)
    whole = View((clip.width, clip.height), (clip.width, clip.height), clip.indices)
    for place in question.at:
        if not isinstance(place, str):
            whole.check(place)  # before the long work
    return clip
