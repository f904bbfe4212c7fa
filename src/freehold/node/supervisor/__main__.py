"""Runs a supervisor: `python -I -S …/supervisor/__main__.py --root FOLDER`.

Without `site` the interpreter is a megabyte smaller, and does not know where we are: this file tells it.
"""

import sys

sys.path.insert(0, __file__.rpartition("/freehold/node/supervisor/")[0])

from freehold.node.supervisor.server import main

sys.exit(main(sys.argv[1:]))
