"""The parts of `serve_load.py`: a client, the servers, and the same model behind others' servers."""
