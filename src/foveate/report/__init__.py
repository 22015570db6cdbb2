"""Views of measured records: text tables, figures, and a report in one HTML file.

The one thing to know: nothing here measures, and nothing measured is written here. Every function
takes the record that `foveate demo` collects (and `--json` prints) and returns a string.
"""

from .html import page, write
from .tables import rich_table, verdict

__all__ = ["page", "rich_table", "verdict", "write"]
