"""Removing a server's row with everything that hangs on it."""

from provisioning.sandbox.world import Server, State


def remove_server(state: State, server: Server) -> None:
    """Free the allocations, drop sub-users and backups, then the server."""
    for allocation in state.server_allocations(server):
        allocation.server_id = None
        allocation.notes = None
    for subuser_id in [s.id for s in state.subusers.values() if s.server_id == server.id]:
        del state.subusers[subuser_id]
    for backup_id in [b.id for b in state.backups.values() if b.server_id == server.id]:
        del state.backups[backup_id]
    state.installs[:] = [p for p in state.installs if p.server_id != server.id]
    state.servers.pop(server.id, None)  # somebody else may have ended it while a daemon hung
