"""Many nodes and a Master in one process, in virtual time, with everything that goes wrong. `freehold simulate`.

The agent, its state, its life cycle of instances and its threads, the gateway's writer and feed, the rooms and tasks
are real; only the network, the machines and the clock are made up.
"""
