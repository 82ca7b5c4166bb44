"""What is shown: the viewer and the tabs below it."""
