/* decision.h - decision models in the store: versions, their life, their test cases.
 *
 *     draft --test--> tested --publish--> published --publish of the next, retire--> retired
 *       ^---- any change of the model or of a case ----'
 *
 * Invariants: 1 a model that is published or retired never changes; 2 at most one version of a decision is
 * published and at most one is a draft or tested; 3 `tested` means that this model has no errors and that
 * every case of the decision gives what it expects, so a change of either makes it a draft again; 4 every
 * act is audited in its transaction; 5 what a model imports is found by its namespace: of a draft what is
 * published now, and from `tested` on the very versions it was tested with.
 * Threads: any.  Layer: platform/decision; above pack, below entity. */
#pragma once
#include "dmn/dmn.h"
#include "net/http.h"
#include "platform/audit/audit.h"
#include "platform/bus/broadcast.h"
#include "platform/identity/principal.h"
#include "platform/pack/pack.h"
#include "store/store.h"

#define DECISION_CODE_MAX 64
#define DECISION_CASES_MAX 500 /* of one decision */

enum decision_state { DECISION_DRAFT, DECISION_TESTED, DECISION_PUBLISHED, DECISION_RETIRED };

struct decisions;

struct decisions_config {
    struct store *store;
    struct ids *ids;
    struct audit *audit;         /* may be NULL (tests) */
    struct broadcast *broadcast; /* "decision.changed" with the decision's id; may be NULL */
    const struct words *words;   /* for messages of findings */
    const struct clock *clock;
};

/* NULL when there is no memory.  Caller frees. */
struct decisions *decisions_new(const struct decisions_config *config) MUST_CHECK;
/* No model may be held.  Accepts NULL. */
void decisions_free(struct decisions *decisions);

extern const struct route DECISION_ROUTES[]; /* ctx: struct decisions */

/* Takes the models that the packs bring (decisions/NAME.dmn, code PACK.NAME): one that is not there yet is
 * published as it is; one that differs from every version becomes a draft, so that an upgrade changes nothing
 * by itself.  ERR_INVALID when a model does not load or has errors; the file is named. */
MUST_CHECK enum err_code decisions_take_packs(struct decisions *decisions, const struct packs *packs,
                                              struct err *err);
/* Compiles every decision of the packs without a store: what is wrong becomes findings that name the file,
 * the line, the element and the cell.  ERR_NOMEM. */
MUST_CHECK enum err_code decisions_check_packs(const struct packs *packs, const struct words *words,
                                               enum lang lang, struct findings *findings, struct err *err);

/* -- for the rooms that decide ------------------------------------------------------------------------- */

/* A compiled model that stays until it is released, whatever is published meanwhile. */
struct decision_held {
    const struct dmn_model *model;
    int64_t decision_id, number;
};

/* The published version of a decision (`number` 0), or that version, which must be published or retired.
 * ERR_NOT_FOUND "decision.none" / "decision.not_published"; ERR_INVALID when it no longer loads; store
 * errors. Compiled once and kept; released with decision_release(). */
MUST_CHECK enum err_code decision_get(struct decisions *decisions, struct str code, int64_t number,
                                      const struct decision_held **out, struct err *err);
/* Accepts NULL. */
void decision_release(struct decisions *decisions, const struct decision_held *held);

/* -- acts (the routes call these) ---------------------------------------------------------------------- */

/* Who does it, for the audit. */
struct decision_act {
    const struct principal *who; /* NULL: the program itself */
    struct str remote, request_id;
};

struct decision_row {
    int64_t id, published, version, created_at, created_by, updated_at, updated_by;
    struct str code, title;
};

struct decision_version_row {
    int64_t id, decision_id, number, tested_at, published_at, published_by, retired_at, version, created_at,
        created_by, updated_at, updated_by;
    enum decision_state state;
    struct str comment, model; /* model: NULL ptr where only the list was asked for */
};

struct decision_case_row {
    int64_t id, decision_id, version, updated_at, updated_by;
    struct str name, target, input, expected; /* JSON texts */
};

/* A new decision with version 1 as a draft.  ERR_CONFLICT for a code that is taken. */
MUST_CHECK enum err_code decision_create(struct decisions *decisions, const struct decision_act *act,
                                         struct str code, struct str title, struct str model, int64_t *out_id,
                                         struct err *err);
/* A new draft with the model of version `from`.  ERR_CONFLICT "decision.has_draft". */
MUST_CHECK enum err_code decision_draft(struct decisions *decisions, const struct decision_act *act,
                                        int64_t id, int64_t from, int64_t *out_number, struct err *err);
/* Replaces the model of a draft or tested version, which is a draft then.  `version` is that of the row, -1
 * any. ERR_CONFLICT "decision.fixed" when it is published or retired; ERR_STALE. */
MUST_CHECK enum err_code decision_save(struct decisions *decisions, const struct decision_act *act,
                                       int64_t id, int64_t number, int64_t version, struct str model,
                                       struct str comment, int64_t *out_version, struct err *err);

struct decision_case_result {
    int64_t id;
    struct str name;
    bool passed;
    struct str got;     /* JSON */
    struct str message; /* why it could not be evaluated; else empty */
};
struct decision_test {
    bool tested;                          /* the version's state is `tested` now */
    int errors;                           /* errors of the model */
    struct decision_case_result *results; /* in the caller's arena */
    int count, failed;
};
/* Runs every case on the version; when all pass, there is at least one and the model has no errors, a draft
 * becomes tested.  ERR_INVALID when the model does not load. */
MUST_CHECK enum err_code decision_test(struct decisions *decisions, const struct decision_act *act,
                                       struct arena *arena, int64_t id, int64_t number, enum lang lang,
                                       struct decision_test *out, struct err *err);
/* ERR_CONFLICT "decision.not_tested". */
MUST_CHECK enum err_code decision_publish(struct decisions *decisions, const struct decision_act *act,
                                          int64_t id, int64_t number, struct err *err);
/* ERR_CONFLICT "decision.not_published". */
MUST_CHECK enum err_code decision_retire(struct decisions *decisions, const struct decision_act *act,
                                         int64_t id, int64_t number, struct err *err);
/* Throws a draft or tested version away. */
MUST_CHECK enum err_code decision_discard(struct decisions *decisions, const struct decision_act *act,
                                          int64_t id, int64_t number, struct err *err);

/* `row->id` 0 adds, else changes (row->version, -1 any); `remove` takes it away.  *out_id is the case. */
MUST_CHECK enum err_code decision_case_save(struct decisions *decisions, const struct decision_act *act,
                                            const struct decision_case_row *row, bool remove, int64_t *out_id,
                                            struct err *err);

/* Reads; everything lies in `arena`. */
MUST_CHECK enum err_code decision_list(struct decisions *decisions, struct arena *arena, struct str pattern,
                                       struct str after, int limit, struct decision_row **out, int *out_count,
                                       struct err *err);
MUST_CHECK enum err_code decision_read(struct decisions *decisions, struct arena *arena, int64_t id,
                                       struct decision_row *out, struct decision_version_row **out_versions,
                                       int *out_count, struct err *err);
MUST_CHECK enum err_code decision_version_read(struct decisions *decisions, struct arena *arena, int64_t id,
                                               int64_t number, struct decision_version_row *out,
                                               struct err *err);
MUST_CHECK enum err_code decision_cases(struct decisions *decisions, struct arena *arena, int64_t id,
                                        struct decision_case_row **out, int *out_count, struct err *err);
