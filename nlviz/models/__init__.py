"""Networks. Nothing here knows of nlviz more than its errors and where its files lie."""
