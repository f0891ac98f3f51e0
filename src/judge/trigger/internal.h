/* internal.h - what the files of the triggers share; a trigger's lock is that of struct triggers. */
#pragma once
#include "base/words.h"
#include "feel/feel.h"
#include "judge/trigger/trigger.h"

#include <pthread.h>

enum kind { KIND_CONDITION, KIND_NO_DATA, KIND_CHANGE, KIND_CERTIFICATE, KIND__COUNT };

/* The names of a condition: numbers first, in the order of the ring of recent values. */
enum slot {
    SLOT_TOTAL,
    SLOT_DNS,
    SLOT_CONNECT,
    SLOT_TLS,
    SLOT_FIRST_BYTE,
    SLOT_STATUS,
    SLOT_BYTES,
    SLOT_REDIRECTS,
    SLOT_CERT_DAYS,
    SLOT_LOSS,
    SLOT_RTT,
    SLOT_JITTER,
    SLOT_NUMBERS,
    SLOT_UP = SLOT_NUMBERS,
    SLOT_CAUSE,
    SLOT_DETAIL,
    SLOT_CERTIFICATE,
    SLOT_NODE,
    SLOT_RECENT,
    SLOT__COUNT
};
struct trigger_name {
    const char *name;
    enum collect_metric metric; /* of the numbers */
    int scale;                  /* digits that microseconds have behind the point as milliseconds */
};
extern const struct trigger_name TRIGGER_NAMES[SLOT__COUNT];

struct trigger {
    struct trigger *next;
    int64_t id;
    struct arena *arena; /* owns the programs and texts */
    enum kind kind;
    int grade;
    int64_t check, service; /* 0 = any */
    int check_kind;         /* -1 = any */
    const struct feel_program *raise, *clear;
    bool uses_recent;
    int64_t for_ms, clear_for_ms, no_data_ms;
    int nodes_min, cert_days;
    int metric; /* enum slot */
    struct str name, title;
};

struct recent {
    uint32_t present;
    int64_t values[SLOT_NUMBERS];
};

struct vote {
    int64_t node, last_ms;
    bool seen, bad;
    bool known;               /* it was judged at least once */
    int64_t turning_since_ms; /* the other condition is true since; 0 = it is not */
    int64_t number;           /* change: the value before */
    char text[COLLECT_DETAIL_MAX + 1];
    struct recent *ring; /* TRIGGER_RECENT of them, when the trigger looks at them */
    int ring_at, ring_count;
};

enum unit_state { UNIT_UNKNOWN, UNIT_CLEAR, UNIT_PROBLEM };

struct unit {
    struct unit *next;
    struct trigger *trigger;
    enum unit_state state;
    struct vote *votes;
    size_t vote_count;
    int64_t since_ms; /* no_data: the watch began */
};

struct watched {
    struct watched *next; /* in its bucket */
    struct trigger_check check;
    char *name; /* owned; check.name points to it */
    struct unit *units;
};

struct triggers {
    pthread_mutex_t lock;
    const struct clock *clock;
    trigger_fn verdict;
    void *ctx;
    enum lang lang;
    const struct words *words;
    struct trigger *list;
    struct watched **table;
    size_t table_size;
    struct arena *eval;
    struct triggers_stats stats;
};

/* spec.c: a trigger from its record; the caller frees. */
MUST_CHECK enum err_code trigger_read(int64_t id, const json_t *record, struct trigger **out,
                                      struct err *err);
void trigger_free(struct trigger *trigger);

/* vote.c: the vote of a node in a unit, made when it has none; NULL without memory. */
struct vote *vote_of(struct unit *unit, int64_t node);
/* What a result does to a vote, after the kind of the trigger. */
void vote_condition(struct triggers *triggers, const struct trigger *trigger, struct vote *vote,
                    const struct collect_result *result, int64_t node);
void vote_certificate(const struct trigger *trigger, struct vote *vote, const struct collect_result *result);
void vote_change(const struct trigger *trigger, struct vote *vote, const struct collect_result *result);
