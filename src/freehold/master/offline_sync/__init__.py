"""Letters: reports that came by a courier and not over the node's own connection."""
