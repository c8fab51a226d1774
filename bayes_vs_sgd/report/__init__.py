"""The report of a run: one self-contained page, drawn from the run folder alone."""

from .page import write
from .text import table_text, verdict_text

__all__ = ["table_text", "verdict_text", "write"]
