"""The small separate process that keeps services alive and outlives the agent.

`python -m freehold.node.supervisor --root FOLDER` runs one; `client.Supervisor` starts and orders it. The
server side uses the standard library only, to stay small.
"""
