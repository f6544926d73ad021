"""The demonstration: a node, a small PACS beside it, sample studies sent through both. Not part of the node."""
