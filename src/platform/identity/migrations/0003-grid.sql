-- The cells of the grid as a tree, kept from the records of type core.grid; path as of an organisation:
-- "/1/5/", the ids from the root down, so that a subtree is a prefix.
CREATE TABLE grid_cell (
    id {i64} PRIMARY KEY,
    parent_id {i64},
    path {text} NOT NULL,
    name {text} NOT NULL
) {strict};
CREATE UNIQUE INDEX grid_cell_path ON grid_cell (path);
CREATE INDEX user_role_grid ON user_role (grid_id);
