-- Of the samples of a day those that fell into a maintenance window; `up` and `total` count them too.
ALTER TABLE availability_day ADD COLUMN maint_up {i64} NOT NULL DEFAULT 0;
ALTER TABLE availability_day ADD COLUMN maint_total {i64} NOT NULL DEFAULT 0;
