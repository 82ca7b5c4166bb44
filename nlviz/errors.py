"""The errors a user can mend: each message says what was given, what is allowed, what to do."""


class NlvizError(Exception):
    """Parent of every error below; the app and the command line show its message as it is."""


class MediaError(NlvizError):
    """A clip, an image or a part of one that cannot be read."""


class QueryError(NlvizError):
    """A place, block or option that the analysis does not have."""


class CaptureError(NlvizError):
    """A module whose affinity cannot be seen."""


class NetworkError(NlvizError):
    """A network that is unknown or cannot be loaded."""


class ZooError(NetworkError):
    """A network of the zoo that cannot be had: says what was asked for and what there is."""


class CheckpointError(ZooError):
    """A file that is not a checkpoint, or one of another network."""


class FetchError(ZooError):
    """A download that did not succeed."""


class FigureError(NlvizError):
    """A figure that cannot be drawn."""


class ExportError(NlvizError):
    """A file that cannot be written, or a session file that cannot be opened again."""


class BatchError(NlvizError):
    """A batch that cannot start or go on: its list, its options, its folder or its network."""


class BudgetError(NlvizError):
    """Something that would not fit into memory; says how large it is and what to lower."""
