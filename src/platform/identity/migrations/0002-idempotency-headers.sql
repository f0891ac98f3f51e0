-- The headers of an answer are given again too (Location, ETag): lines "Name: value".
ALTER TABLE idempotency ADD COLUMN headers {text} NOT NULL DEFAULT '';
