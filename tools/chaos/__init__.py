"""`make chaos`: kills the real product at random while services live, then compares billing and panel."""
