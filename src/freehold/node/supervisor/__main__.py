"""Runs a supervisor: `python -m freehold.node.supervisor --root FOLDER`."""

import sys

from freehold.node.supervisor.server import main

sys.exit(main(sys.argv[1:]))
