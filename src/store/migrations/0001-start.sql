-- Months of period tables that exist; the tables themselves are declared in store_period.
CREATE TABLE store_period_part (
    name {text} NOT NULL,
    month {i64} NOT NULL,
    PRIMARY KEY (name, month)
) {no_rowid_strict};
