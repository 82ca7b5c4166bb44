"""What features look like: the principal components of a layer over a whole clip, as colours."""

from nlviz.features.basis import Basis, open_basis
from nlviz.features.drawing import components_film, components_strip
from nlviz.features.foreground import Foreground
from nlviz.features.pca import Components, pca

__all__ = [
    "Basis",
    "Components",
    "Foreground",
    "components_film",
    "components_strip",
    "open_basis",
    "pca",
]
