"""Stand-ins of a Pterodactyl or Calagopus panel and of a billing system, over real HTTP.

For the demo and for tests. Nothing here imports the rest of the project, so that a misread contract
can not cancel itself out: the drivers meet the sandbox only through a socket. See docs/sandbox.md.
"""
