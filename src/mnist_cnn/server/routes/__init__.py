"""What the server answers: one module per subject. `server.application` lists their routers."""
