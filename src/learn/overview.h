/* overview.h - a service at a glance, and what is owed today.
 *
 * GET core/services/{id}
 *   {"months":[{"month":"2026-11","percent":n|null,"met":n,"total":n} x 12, oldest first],
 *    "duties":{"due":n,"done":n,"overdue":n,"items":[DUTY...]},
 *    "systems":[{"id","type","code","name","state":"ok|problem","grade":n|null}],
 *    "contacts":[{"id","name","role","phone"}],            masked as the asker's rights say
 *    "clocks":[{"level","calendar","clock","label","minutes","source"}],
 *    "contract":{"from":DAY|null,"to":DAY|null,"days_left":n|null,"unit":{"id","type","name"}|null,"support"},
 *    "key_dates":[{"id","name","rule","first_day","last_day","state":"rule|past|now|ahead","days_left":n|null,
 *                  "protected","general"}],        rule: the source tells it in words only
 *    "quotas":[{"id","name","bound","amount","period","note","general"}]}
 *   DUTY {"id","service","service_name","kind":"inspection|deliverable","name","interval","general":false,
 *         "state":"done|due|overdue|event","due_at":DAY|null,"open":n windows overdue}
 * GET core/duties?state=due|overdue&limit=200&after=CURSOR
 *   {"items":[DUTY...],"next":CURSOR|null,"due":n,"overdue":n,"done":n,"due_today":n} over the services one
 *   may see; overdue first, then by day.  The counts are of all pages and both states; due: the running
 * window is not done yet; due_today: and ends today. Months and days are those of the zone.  Permission:
 * ops.service.read; rows by the asker's scope. Threads: any.  Layer: learn. */
#pragma once
#include "net/http.h"
#include "platform/entity/entity.h"
#include "subject/subjects.h"
#include "warn/alarms.h"

struct overview {
    struct entity *entity;
    struct store *store;
    struct alarms *alarms;
    const struct clock *clock;
    const struct zone *zone; /* NULL: UTC+8 */
    const struct words *words;
};
extern const struct route OVERVIEW_ROUTES[];
