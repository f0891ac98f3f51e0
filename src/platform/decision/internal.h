/* internal.h - what the files of decision share.  Layer: platform/decision, not for other rooms. */
#pragma once
#include "base/clock.h"
#include "base/ids.h"
#include "platform/decision/decision.h"
#include "platform/decision/imports.h"

#include <pthread.h>

#define HELD_MAX 128 /* compiled models kept; those in use beyond that stay until released */

struct held {
    struct decision_held public; /* first */
    struct held *next;
    struct dmn_model *model;
    int refs;
    int64_t used; /* a counter: the least is dropped first */
};

struct decisions {
    struct decisions_config config;
    pthread_mutex_t lock; /* of held */
    struct held *held;
    int held_count;
    int64_t uses;
};

/* decision.c: as decision_create(), published at once; for models that packs bring.  The model is
 * imports->sources[0]. */
MUST_CHECK enum err_code decision_ship(struct decisions *decisions, struct str code, struct str title,
                                       const struct imports *imports, int64_t *out_id, struct err *err);

/* -- view.c: models as JSON for the page -- */

/* Loads a model with what it imports; one that does not load gives *out_model NULL and *out_why filled. */
MUST_CHECK enum err_code decision_load(const struct imports *imports, struct dmn_model **out_model,
                                       struct err *out_why, struct err *err);
/* The same of a text that need not be saved, over what is published now. */
MUST_CHECK enum err_code decision_load_text(struct decisions *decisions, struct str text,
                                            struct dmn_model **out_model, struct err *out_why,
                                            struct err *err);
/* { loads, findings, decisions, inputs }: new reference. */
MUST_CHECK enum err_code decision_check_json(struct decisions *decisions, struct arena *arena,
                                             struct str text, enum lang lang, json_t **out, struct err *err);
/* { value, warnings, tables, values } of one decision or service for the entries of `input`. */
MUST_CHECK enum err_code decision_evaluate_json(struct decisions *decisions, struct str text,
                                                struct str target, const json_t *input, enum lang lang,
                                                json_t **out, struct err *err);
MUST_CHECK enum err_code decision_diff_json(struct arena *arena, struct str before, struct str after,
                                            json_t **out, struct err *err);
/* The value of a target for an input, as JSON text in the arena, and whether it is the expected one. */
MUST_CHECK enum err_code decision_run_case(const struct decisions *decisions, const struct dmn_model *model,
                                           struct arena *arena, const struct decision_case_row *one,
                                           enum lang lang, struct decision_case_result *out, struct err *err);

/* -- xlsx.c: one decision table as a sheet -- */

/* Writes the table of a decision to a new file; the caller closes *out_fd. */
MUST_CHECK enum err_code decision_table_to_xlsx(struct str text, struct str decision, const char *path,
                                                struct err *err);
/* The model with the rules of that table replaced by the rows of the sheet, in the arena. */
MUST_CHECK enum err_code decision_table_from_xlsx(struct arena *arena, struct str text, struct str decision,
                                                  int fd, struct str *out, struct err *err);
