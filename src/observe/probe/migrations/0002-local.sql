INSERT INTO probe_node (id, name, created_at, created_by) VALUES (1, '本机', 0, 0);
