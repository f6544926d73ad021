"""What the node itself has audited, and how the trail reaches a repository of audit messages."""
