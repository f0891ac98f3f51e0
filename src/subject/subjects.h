/* subjects.h - everything that is looked after, by id, and how it hangs together: held in memory.
 *
 * Names and codes for alarms, notices and pictures must be there while SQL is away, and the graph is asked
 * for every alarm.  Loaded at start, then changed by increments: each record.* event re-reads its one row.
 * Threads: any.  Layer: subject. */
#pragma once
#include "net/http.h"
#include "platform/bus/bus.h"
#include "platform/entity/entity.h"
#include "store/store.h"
#include "subject/graph.h"

#define SUBJECTS_MAX 2000000
#define SUBJECT_NAME_MAX 200 /* code points; 800 bytes */

struct subjects;
struct principal;

struct subject_info {
    int64_t id, org;
    char type[84], code[260], name[804];
};

/* `entity` gives relations (core.relation, if that type is there) and which types are subjects. */
MUST_CHECK enum err_code subjects_open(struct store *store, struct entity *entity, const struct clock *clock,
                                       struct subjects **out, struct err *err);
void subjects_close(struct subjects *subjects);
/* Follows record.* of the bus from now on. */
MUST_CHECK enum err_code subjects_follow(struct subjects *subjects, struct bus *bus, struct err *err);

/* False when there is no such subject. */
bool subjects_get(struct subjects *subjects, int64_t id, struct subject_info *out);
/* Its name; "" when there is none.  `out` holds at least 804 bytes. */
void subjects_name(struct subjects *subjects, int64_t id, char *out, size_t size);
size_t subjects_count(struct subjects *subjects);

/* How subjects are now, as somebody above knows it. */
struct subject_state {
    int64_t id;
    int grade;  /* of the worst alarm that is not cleared, 1 (worst) to 4; 0 none */
    int alarms; /* not cleared */
    bool held;  /* all of them wait behind a window, a parent or their own flapping */
};
/* Fills what is not the id (all zero at first); set before the routes are served.  `fn` may fail for want of
 * memory. */
typedef enum err_code (*subjects_states_fn)(void *ctx, struct arena *arena, struct subject_state *items,
                                            int count, struct err *err);
void subjects_states_set(struct subjects *subjects, subjects_states_fn fn, void *ctx);
bool subjects_states_known(const struct subjects *subjects);
/* Leaves the items as they are while nobody has been set. */
MUST_CHECK enum err_code subjects_states(struct subjects *subjects, struct arena *arena,
                                         struct subject_state *items, int count, struct err *err);
struct graph *subjects_graph(struct subjects *subjects);
int64_t subjects_now(struct subjects *subjects);
/* The path of an organisation ("/1/5/") in the arena; "" when there is none.  Kept for a minute. */
struct str subjects_org_path(struct subjects *subjects, int64_t org, struct arena *arena);
/* Which of them the asker may read, by the row scope of their types: out[count]. */
MUST_CHECK enum err_code subjects_seen(struct subjects *subjects, const struct principal *who,
                                       struct arena *arena, const int64_t *ids, int count, bool *out,
                                       struct err *err);
/* True when `subject` stands, directly or not, on `base`. */
bool subjects_stands_on(struct subjects *subjects, int64_t subject, int64_t base, int64_t at_ms);

/* GET core/subjects/{id}/graph?walk=around|impact|causes&depth=2
 *   {"start":ID,"nodes":[{"id","type","code","name","depth","state":"ok|problem|held"|null,"grade":n|null,
 *    "alarms":n,"more":n}],"edges":[{"id","from","to","kind"}],"cut":false,"hidden":n}
 *   more: neighbours past the depth, 0 where something is hidden;
 *   hidden: how many were left out because the asker may not see them, and with them what hangs on the start
 * by them alone; held: alarms that wait behind a window or a parent; state is null while nobody knows GET
 * core/subjects/{id}        {"id","type","code","name","org"}   (404 out of scope) ctx of the routes is the
 * struct subjects. */
extern const struct route SUBJECT_ROUTES[];
