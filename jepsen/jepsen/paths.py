"""Where things are."""

import os

JEPSEN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(JEPSEN)
RUN = os.path.join(JEPSEN, "run")
TOOLS = os.path.join(JEPSEN, "tools")
MUTANTS = os.path.join(JEPSEN, "mutants")
STORE = os.path.join(JEPSEN, "store")
TOOLS_BUILT = os.path.join(STORE, "tools")
BUILD = os.path.join(ROOT, "build", "release")
