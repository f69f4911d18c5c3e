"""The roof: the pipeline as a readable list, the front end, the commands, the Python API."""
