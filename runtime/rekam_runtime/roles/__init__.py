"""Roles of a service, each a process of its own: what those of one kind have in common.

`settings` are read from the environment, `connecting` opens the log and the database, `projection` is
the work of a role that projects; a service's wiring makes a `Role` of them and of its own parts,
and `running` runs it.
"""

from rekam_runtime.roles.connecting import archived, connected, database_faults, log_faults, rebuild_pool
from rekam_runtime.roles.projection import Projection
from rekam_runtime.roles.role import Role
from rekam_runtime.roles.running import migrate, project, serve
from rekam_runtime.roles.settings import MigrateSettings, ProjectSettings, RoleSettings, ServeSettings

__all__ = [
    "MigrateSettings",
    "ProjectSettings",
    "Projection",
    "Role",
    "RoleSettings",
    "ServeSettings",
    "archived",
    "connected",
    "database_faults",
    "log_faults",
    "migrate",
    "project",
    "rebuild_pool",
    "serve",
]
