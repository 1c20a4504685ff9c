"""Whether the package has to do without what only Unix has.

``TURBOSQS_PORTABLE=1`` in the environment says so on Unix too: that is how tests there ask whether it can.
"""

from __future__ import annotations

import os
import sys

#: Not every event loop watches descriptors there, no signal can be blocked, no program takes another's place.
PORTABLE = sys.platform == "win32" or os.environ.get("TURBOSQS_PORTABLE") == "1"
