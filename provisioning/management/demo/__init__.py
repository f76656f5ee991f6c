"""The demo: the whole product on this machine, playing its main job over real HTTP."""
