"""File endings that the app takes; what is inside is checked when it is read."""

SESSION = "nlviz"
"""Of a session."""

CLIPS = (
    *("mp4", "mov", "m4v", "mkv", "webm", "avi", "mpg", "mpeg", "ogv"),
    *("gif", "webp", "apng", "png", "jpg", "jpeg", "avif", "bmp", "tif", "tiff", "jp2"),
)
"""Of clips and pictures."""

UPLOADS = (SESSION, *CLIPS)
"""Of what visitors may give."""
