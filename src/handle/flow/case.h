/* case.h - cases: opened, worked step by step, paused, re-opened, closed, each step in one transaction.
 *
 * A step moves tokens, writes the record, the events, the clocks, the audit line and the outbox message in
 * the transaction it is given, or in none.  The record of a case belongs to the entity layer and this room
 * reaches it, and everything else outside of it, only through struct case_host, handed in once.
 *
 * Invariants: 1. an open case has at least one token, each waiting in a user task with one open task; 2. a
 * closed one has none; 3. case_clock and case_due are what a replay of case_event gives; 4. a case keeps the
 * versions of flow and matrix it began with.
 * Threads: any; a tx belongs to its caller.  Layer: handle/flow. */
#pragma once
#include "base/ids.h"
#include "base/words.h"
#include "handle/flow/expression.h"
#include "handle/flow/run.h"
#include "handle/sla/matrix.h"
#include "store/store.h"

#include <jansson.h>

struct case_room;

/* Who acts.  id 0 = the program itself. */
struct case_actor {
    int64_t id;
    struct str name;
    const void *who; /* struct principal, for the host; NULL = the program */
};

/* What this room asks of others.  `ctx` is the host's own. */
struct case_host {
    void *ctx;
    /* The record as the entity layer shows it, unmasked; new reference. */
    enum err_code (*get)(void *ctx, struct tx *tx, struct str type, int64_t id, json_t **out,
                         struct err *err);
    /* Merge patch in this transaction, with audit and history; checked like any change. */
    enum err_code (*patch)(void *ctx, struct tx *tx, const struct case_actor *by, struct str type, int64_t id,
                           const json_t *patch, struct err *err);
    /* Creates a record; for a type of kind case this calls back into case_open(). */
    enum err_code (*create)(void *ctx, struct tx *tx, const struct case_actor *by, struct str type,
                            const json_t *fields, int64_t *out_id, struct err *err);
    /* The flow that new cases of the type get: "ops/fault" and its XML; reopen = the element of x-reopen. */
    enum err_code (*flow)(void *ctx, struct str type, struct arena *arena, struct str *out_flow,
                          struct str *out_xml, struct str *out_reopen, struct err *err);
    /* The SLA matrix as it is now (snapshot of sla/matrix.h); new reference. */
    enum err_code (*matrix)(void *ctx, struct tx *tx, struct str type, json_t **out, struct err *err);
    /* The code of the record's service in that matrix, and its level ("" = none; ptr NULL = no memory). */
    void (*terms)(void *ctx, struct str type, const json_t *record, struct arena *arena,
                  struct str *out_service, struct str *out_level);
    /* The calendars now; give them back. */
    const struct sla_calendars *(*calendars_get)(void *ctx);
    void (*calendars_put)(void *ctx, const struct sla_calendars *calendars);
    /* The fields that records of the flow's types have: names that its expressions may use. */
    enum err_code (*names)(void *ctx, struct str flow, struct arena *arena, const struct flow_name **out,
                           int *out_count, struct err *err);
    /* Fills users: "rota:service", "role:CODE", "user:LOGIN", "owner"; returns how many. */
    int (*people)(void *ctx, struct tx *tx, struct str candidate, const json_t *record, int64_t *out_users,
                  int max);
    struct str (*user_name)(void *ctx, struct tx *tx, int64_t user, struct arena *arena);
    /* May they do this to that case?  `who` NULL is the program: true. */
    bool (*may)(void *ctx, struct tx *tx, const void *who, struct str permission, struct str type,
                int64_t id);
    /* Outbox: leaves after the commit, in order per subject. */
    enum err_code (*emit)(void *ctx, struct tx *tx, const char *topic, int64_t subject, const json_t *data,
                          struct err *err);
    enum err_code (*audit)(void *ctx, struct tx *tx, const struct case_actor *by, const char *act,
                           struct str type, int64_t id, const json_t *data, struct err *err);
};

struct case_config {
    struct ids *ids;
    const struct clock *clock;
    const struct case_host *host;
};
/* ERR_NOMEM.  Texts and host must outlive it.  Caller frees. */
MUST_CHECK enum err_code case_room_new(const struct case_config *config, struct case_room **out_room,
                                       struct err *err);
void case_room_free(struct case_room *room);

/* What a step may need besides who does it. */
struct case_step {
    const struct case_actor *by;
    struct str opinion; /* also the reason */
};

/* ---- a case ---- */

/* The record was created (entity's hook after the row is written): starts the flow and the clocks.
 * `prior_id` names the closed case that this one follows; 0 = none. */
MUST_CHECK enum err_code case_open(struct case_room *room, struct tx *tx, const struct case_step *step,
                                   struct str type, int64_t id, const json_t *record, struct err *err);
/* The record was changed: a new service or level is an edit of the clocks; anything else is noted. */
MUST_CHECK enum err_code case_changed(struct case_room *room, struct tx *tx, const struct case_step *step,
                                      struct str type, int64_t id, const json_t *before, const json_t *after,
                                      struct err *err);

/* All of these: ERR_NOT_FOUND no such case or task; ERR_CONFLICT "case.closed", "case.open", "task.not_open",
 * "task.taken" (argument "name"); ERR_FORBIDDEN; ERR_INVALID what the record's or the flow's rules refuse. */
MUST_CHECK enum err_code case_pause(struct case_room *room, struct tx *tx, const struct case_step *step,
                                    int64_t id, unsigned clocks, bool resume, struct err *err);
/* A step of the work that no task stands for: arrived on site, workaround given, report handed in. */
MUST_CHECK enum err_code case_reach(struct case_room *room, struct tx *tx, const struct case_step *step,
                                    int64_t id, enum sla_clock clock, int64_t at_ms, bool workaround,
                                    struct err *err);
MUST_CHECK enum err_code case_waive(struct case_room *room, struct tx *tx, const struct case_step *step,
                                    int64_t id, enum sla_clock clock, struct err *err);
/* An event written by mistake no longer counts; it stays visible. */
MUST_CHECK enum err_code case_void(struct case_room *room, struct tx *tx, const struct case_step *step,
                                   int64_t id, int64_t event, struct err *err);
MUST_CHECK enum err_code case_note(struct case_room *room, struct tx *tx, const struct case_step *step,
                                   int64_t id, struct err *err);
MUST_CHECK enum err_code case_reopen(struct case_room *room, struct tx *tx, const struct case_step *step,
                                     int64_t id, struct err *err);
MUST_CHECK enum err_code case_cancel(struct case_room *room, struct tx *tx, const struct case_step *step,
                                     int64_t id, struct err *err);

/* ---- tasks ---- */

MUST_CHECK enum err_code task_claim(struct case_room *room, struct tx *tx, const struct case_step *step,
                                    int64_t task, bool release, struct err *err);
/* `fields` may be NULL: values of the form, written to the record before the token moves. */
MUST_CHECK enum err_code task_complete(struct case_room *room, struct tx *tx, const struct case_step *step,
                                       int64_t task, struct str action, const json_t *fields,
                                       struct err *err);
/* To an earlier step that was done in this case; "" = the one before.  Needs an opinion. */
MUST_CHECK enum err_code task_return(struct case_room *room, struct tx *tx, const struct case_step *step,
                                     int64_t task, struct str node, struct err *err);
MUST_CHECK enum err_code task_handover(struct case_room *room, struct tx *tx, const struct case_step *step,
                                       int64_t task, int64_t user, struct err *err);
MUST_CHECK enum err_code task_urge(struct case_room *room, struct tx *tx, const struct case_step *step,
                                   int64_t task, struct err *err);
/* The case a task belongs to; ERR_NOT_FOUND. */
MUST_CHECK enum err_code task_case(struct tx *tx, int64_t task, int64_t *out_case, struct err *err);

/* ---- alarms ---- */

/* An alarm wants a ticket: joins the open case of the same source, else opens one (naming the last closed
 * one).  Running it again for the same alarm while its case is open does nothing.  *out_opened tells which.
 */
MUST_CHECK enum err_code case_alarm(struct case_room *room, struct tx *tx, struct str type, int64_t alarm,
                                    struct str source, const json_t *fields, int64_t *out_case,
                                    bool *out_opened, struct err *err);

/* The alarm is over: noted on its case if that is open; closing it stays with people. */
MUST_CHECK enum err_code case_alarm_cleared(struct case_room *room, struct tx *tx, int64_t alarm,
                                            int64_t at_ms, struct err *err);

/* ---- time ---- */

/* What is due now: timers of flows, warnings and breaches of clocks; at most `max` of each, one transaction
 * each.  *out_done = how many; call again while it is max. */
MUST_CHECK enum err_code case_tick(struct case_room *room, struct store *store, int max, int *out_done,
                                   struct err *err);
/* The earliest instant at which case_tick() has something to do; INT64_MAX = nothing. */
MUST_CHECK enum err_code case_next_due(struct tx *tx, int64_t *out_ms, struct err *err);

/* Derives the clocks of one open case anew and writes them. */
MUST_CHECK enum err_code case_derive(struct case_room *room, struct tx *tx, int64_t id, struct err *err);
/* Of all open cases after `after_id`, at most `max` (a calendar changed); *out_last = the last one, 0 = done.
 */
MUST_CHECK enum err_code case_derive_all(struct case_room *room, struct tx *tx, int64_t after_id, int max,
                                         int64_t *out_last, struct err *err);
/* Compares the stored clocks of open cases with a fresh replay.  Each difference is a finding. */
struct case_verify {
    int64_t cases, clocks, differences;
};
MUST_CHECK enum err_code case_verify(struct case_room *room, struct tx *tx, struct findings *findings,
                                     struct case_verify *out, struct err *err);

/* ---- reading ---- */

/* As inbox.h shows them; new references.  `pieces` adds them to the clocks. */
struct case_view {
    struct case_room *room;
    const void *who;
    int64_t user_id;
    const struct words *words;
    enum lang lang;
    struct arena *arena;
};
MUST_CHECK enum err_code case_json(const struct case_view *view, struct tx *tx, int64_t id, json_t **out,
                                   struct err *err);
MUST_CHECK enum err_code case_clocks_json(const struct case_view *view, struct tx *tx, int64_t id,
                                          json_t **out, struct err *err);
MUST_CHECK enum err_code task_json(const struct case_view *view, struct tx *tx, int64_t id, json_t **out,
                                   struct err *err);
