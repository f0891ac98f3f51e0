/* routing.h - who is told of an alarm, who is on duty, what is under maintenance: held in memory.
 *
 * Records of the types core.route, core.rota, core.shift and ops.maintenance are handed in one by one as they
 * change; people come with their address, so that alarms reach them while SQL is away.
 * Threads: any.  Layer: warn. */
#pragma once
#include "platform/notify/notify.h"
#include "warn/machine.h"

#include <jansson.h>

#define ROUTING_ITEMS_MAX 20000 /* of each kind */

struct routing;

enum routing_kind { ROUTING_ROUTE, ROUTING_ROTA, ROUTING_SHIFT, ROUTING_WINDOW, ROUTING_KIND__COUNT };

/* NULL: no memory.  `stands_on` answers whether one subject stands on another (may be NULL). */
struct routing *routing_new(bool (*stands_on)(void *ctx, int64_t subject, int64_t base, int64_t at_ms),
                            void *ctx) MUST_CHECK;
void routing_free(struct routing *routing);

/* Adds or replaces; ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK enum err_code routing_set(struct routing *routing, enum routing_kind kind, int64_t id,
                                     const json_t *record, struct err *err);
void routing_remove(struct routing *routing, enum routing_kind kind, int64_t id);

struct routing_person {
    int64_t id;
    char name[244], mail[164];
    enum lang lang;
};
/* Replaces everybody. */
MUST_CHECK enum err_code routing_people(struct routing *routing, const struct routing_person *people,
                                        int count, struct err *err);
/* False when nobody has that id. */
bool routing_person(struct routing *routing, int64_t id, struct routing_person *out);

/* The maintenance window that covers them, or 0: by service, by subject, or by one the subject stands on. */
int64_t routing_window(struct routing *routing, int64_t subject, int64_t service, int64_t at_ms);

/* Who is on duty by that rota: its shifts (repeated every repeat_days), else its fallback; 0 nobody. */
int64_t routing_on_duty(struct routing *routing, int64_t rota, int64_t at_ms);
struct duty_now {
    int64_t rota, person, until_ms; /* until: end of the shift, 0 for the fallback */
    char rota_name[404];
};
/* Every rota, by name; at most `max`; returns how many. */
int routing_duties(struct routing *routing, int64_t at_ms, struct duty_now *out, int max);

/* One stretch of duty: who it is, by which shift, and whom a swap replaces. */
struct duty_span {
    int64_t rota, from_ms, to_ms;
    int64_t person;     /* 0: nobody is there */
    int64_t shift;      /* 0: the rota's fallback */
    int64_t instead_of; /* the person whose repeated shift this one covers; 0 */
};
#define DUTY_SPANS_MAX 5000
#define DUTY_SHIFTS_MAX 1000 /* of one rota within the span */
/* All rotas by name over [from_ms, to_ms), each without holes; *out_cut when there would be more than fits.
 * Names of rotas as routing_duties() tells them.  ERR_NOMEM. */
MUST_CHECK enum err_code routing_calendar(struct routing *routing, int64_t from_ms, int64_t to_ms,
                                          struct arena *arena, struct duty_span **out, int *out_count,
                                          bool *out_cut, struct err *err);

/* The shortest escalation of the routes that match, in ms; 0 never. */
int64_t routing_escalate_ms(struct routing *routing, const struct alarm *alarm);

/* Who hears of this event: filled with at most NOTICE_PEOPLE_MAX people, each once a channel; mail addresses
 * lie in the arena.  Returns how many; -1 no memory. */
int routing_recipients(struct routing *routing, const struct alarm *alarm, enum alarm_event event,
                       int64_t at_ms, struct arena *arena, struct notice_person *out);
