"""The small separate process that keeps services alive and outlives the agent.

`__main__` runs one; `client.Supervisor` starts it and orders it about. The server side uses the standard
library only, to stay small.
"""
