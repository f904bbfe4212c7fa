"""The one command, `freehold`: parses, calls a room, prints."""

import argparse
import importlib
import sys

_ROOMS = {
    "master": "freehold.master.commands",
    "node": "freehold.node.commands",
}
