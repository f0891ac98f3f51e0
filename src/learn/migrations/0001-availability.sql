-- How a check went, day by day (days since 1970 in Asia/Shanghai): samples that were up, all that say
-- something, and those without data.  Derived from the series; can be made again while those are kept.
CREATE TABLE availability_day (
    check_id {i64} NOT NULL,
    day {i64} NOT NULL,
    service {i64} NOT NULL,
    subject {i64} NOT NULL,
    up {i64} NOT NULL,
    total {i64} NOT NULL,
    no_data {i64} NOT NULL,
    PRIMARY KEY (check_id, day)
) {strict};
CREATE INDEX availability_day_service ON availability_day (service, day);
