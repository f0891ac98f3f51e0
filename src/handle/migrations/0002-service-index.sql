CREATE INDEX case_run_service ON case_run (service, opened_ms);
