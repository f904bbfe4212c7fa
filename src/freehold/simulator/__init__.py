"""Many nodes and a Master in one process, in virtual time, with everything that goes wrong. `freehold simulate`.

The agent, its memory, its hands and conversations, the gateway's writer and feed, the rooms and reconcilers are real;
only the network, the machines and the clock are made up.
"""
