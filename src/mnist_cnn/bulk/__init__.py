"""Reading many images into a table, here or on a Ray cluster, in parts that an interrupted run does not repeat."""
