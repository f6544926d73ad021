"""How the bytes of results reach a peer: a file for each way, and one that chooses. What an answer leads to is decided
in node/send.py and node/statuses.py, which know no way."""
