"""What an open model of each kind needs of a study and gives back: start at node/systems/protocol.py."""
