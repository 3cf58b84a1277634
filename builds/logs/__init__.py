"""Reading the logs of builds: as safe text, by ranges of lines, and live."""

from builds.logs.ansi import Span, plain, spans
from builds.logs.hub import TooManyWatchers, shape, shape_of
from builds.logs.live import Watcher, let_go
from builds.logs.reading import LAST_LINES, Line, Window, last_line, pieces, text, window

__all__ = [
    "LAST_LINES",
    "Line",
    "Span",
    "TooManyWatchers",
    "Watcher",
    "Window",
    "last_line",
    "let_go",
    "pieces",
    "plain",
    "shape",
    "shape_of",
    "spans",
    "text",
    "window",
]
