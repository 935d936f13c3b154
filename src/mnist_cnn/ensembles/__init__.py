"""From trained runs to one averaged network, in a folder of its own that is like the folder of a run."""
