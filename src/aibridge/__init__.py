"""AI Bridge: a self-hosted AI gateway for teams.

Two planes in one process: `gateway` serves AI calls from memory, `control` serves people from the database. They never
import each other; they meet in `domain.snapshot` and in `server`, the composition root.
"""

__version__ = "0.1.0"
