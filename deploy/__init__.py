"""What surrounds the worker: the servers of tests and demo, and the commands that use them."""
