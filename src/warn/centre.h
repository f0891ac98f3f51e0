/* centre.h - the alarm centre over HTTP, and the telling of people.
 *
 * GET  core/alarms?state=live|open|acked|cleared|closed|all&grade=&subject=&service=&after=ID&limit=
 *        {"items":[ALARM...],"next":ID|null}    live alarms come from memory, so the list works without SQL
 *      ALARM of record.h and "subject_name","service_name","acked_by_name","hold_label","children":n
 * GET  core/alarms/{id}            ALARM and
 * "events":[{"id","at","event","by","by_name","state","hold","value","text"}] GET  core/alarms/count
 * {"open","acked","cleared","by_grade":[n,n,n,n]} POST core/alarms/ack   {"ids":["1",...],"comment":"..."}
 * {"done":[ID...],"failed":[{"id","code","message"}]} POST core/alarms/close {"ids":[...],"comment":"..."}
 * the same POST core/alarms/signal {"key","subject"?,"service"?,"grade","title","value"?,"clear"?}  an
 * outside source GET  core/rota/now               {"items":[{"rota","name","person","person_name","until"}]}
 * GET  core/rota/calendar?from=&to=  who is on duty when, each rota without holes, at most 62 days:
 *        {"items":[{"rota","from","to","person":{"id","name"}|null,"shift":ID|null,"instead_of":{...}|null}],
 *         "cut":false}     shift null: the rota's fallback; instead_of: whose repeated shift a swap covers
 * Permissions: core.alarm.read, core.alarm.ack, core.alarm.close, core.alarm.signal, core.rota.read.
 * Layer: warn. */
#pragma once
#include "net/http.h"
#include "subject/subjects.h"
#include "warn/alarms.h"
#include "warn/routing.h"

struct audit;

struct centre {
    struct alarms *alarms;
    struct routing *routing;
    struct subjects *subjects;
    struct notify *notify;
    struct store *store;
    struct audit *audit; /* may be NULL in tests */
    const struct clock *clock;
    const struct words *words;
};

/* ctx of the routes is the struct centre. */
extern const struct route ALARM_ROUTES[];

/* Tells the people whom the routes name; alarms_hooks.tell. */
MUST_CHECK enum err_code centre_tell(void *centre, const struct alarm_record *record, struct err *err);

/* The alarm as the browser sees it, with names (new reference); NULL: no memory. */
json_t *centre_alarm_json(struct centre *centre, const struct alarm *alarm, enum lang lang) MUST_CHECK;
