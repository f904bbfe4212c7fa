"""What keeps a partition apart: its container, its system calls, and the proof that nothing of it is left."""
