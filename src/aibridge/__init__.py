"""AI Bridge: a self-hosted AI gateway for teams.

Two planes in one process: `gateway` serves AI calls from memory, `control` serves people from the database. They never
import each other; they meet in `domain.snapshot` and in `server`, the composition root.
"""

__version__ = "2.0.0"
"""The one place where the version stands: the major number is that of the API's paths, `/api/v2`."""
