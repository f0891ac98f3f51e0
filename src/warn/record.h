/* record.h - a change of an alarm as a record of the log, and back.
 *
 * JSON, one object a record: what a newer program adds an older one passes over.  Layer: warn. */
#pragma once
#include "base/buf.h"
#include "warn/machine.h"

#include <jansson.h>

struct alarm_record {
    int64_t id; /* of the change: time-ordered, unique; makes writing it twice harmless */
    enum alarm_event event;
    bool first;
    bool snapshot; /* the state alone, after the log had failed: nobody is told */
    int64_t at_ms, by;
    char text[ALARM_TITLE_MAX + 1];
    struct alarm alarm;
};

/* Appends the record. */
void alarm_record_put(struct buf *out, const struct alarm_record *record);
/* ERR_CORRUPT when it is none. */
MUST_CHECK enum err_code alarm_record_get(struct str bytes, struct alarm_record *out, struct err *err);

/* The alarm as the browser sees it (new reference); names of references are added by the caller.  NULL: no
 * memory. */
json_t *alarm_json(const struct alarm *alarm) MUST_CHECK;
