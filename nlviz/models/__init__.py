"""Networks, their weights and the zoo; of nlviz they know only its errors and its files."""
