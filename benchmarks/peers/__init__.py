"""The scripts that run the peers, each in an environment of its own, without segue; see peer_setups.py."""
