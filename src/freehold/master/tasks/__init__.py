"""What the Master does by itself: named tasks in three lanes, each with a state that its operators see.

A task takes no input: it looks at the database and moves it toward what it should be. So nothing can be lost (no work
is in flight), a task that failed is simply run again, and two Masters on one database may run the same at once.
"""
