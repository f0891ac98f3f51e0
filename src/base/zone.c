/* zone.c - offsets of a zone as a sorted table. */
#include "base/zone.h"

#include <stdio.h>
#include <unicode/ucal.h>
#include <unicode/ustring.h>

#define TABLE_MAX 1024
#define SHANGHAI_OFFSET_MS (8 * INT64_C(3600000))
/* Shanghai had summer time until 1991; from here on its offset is fixed. */
#define SHANGHAI_FIXED_MS INT64_C(694224000000) /* 1992-01-01T00:00:00Z */
#define FIRST_MS INT64_C(0)
#define LAST_MS INT64_C(4102444800000) /* 2100-01-01T00:00:00Z */

struct change {
    int64_t from_ms; /* the offset holds from here until the next change */
    int32_t offset_ms;
};

struct zone {
    bool shanghai;
    char name[ZONE_NAME_MAX + 1];
    int changes_count;      /* >= 1; changes[0] holds for everything before changes[1] */
    struct change *changes; /* owned */
};

static enum err_code changes_read(struct zone *zone, UCalendar *cal, struct err *err);
static const struct change *change_at(const struct zone *zone, int64_t utc_ms);

enum err_code zone_new(struct str name, struct zone **out_zone, struct err *err)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar wide[ZONE_NAME_MAX + 1], canonical[ZONE_NAME_MAX + 1];
    UBool known = 0;
    UCalendar *cal;
    struct zone *zone;
    enum err_code rc;

    if (!name.len)
        name = STR(ZONE_DEFAULT);
    if (name.len > ZONE_NAME_MAX)
        return err_set(err, ERR_INVALID, "base.zone", ARG_STR("zone", name), ARG_END);
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr("/_+-", c)) ||
            !c)
            return err_set(err, ERR_INVALID, "base.zone", ARG_STR("zone", name), ARG_END);
        wide[i] = (UChar)c;
    }
    wide[name.len] = 0;
    (void)ucal_getCanonicalTimeZoneID(wide, (int32_t)name.len, canonical, ZONE_NAME_MAX, &known, &status);
    if (U_FAILURE(status) || !known)
        return err_set(err, ERR_INVALID, "base.zone", ARG_STR("zone", name), ARG_END);

    zone = mem_alloc(1, sizeof(*zone));
    if (!zone)
        return err_nomem(err);
    memcpy(zone->name, name.ptr, name.len);
    zone->shanghai = str_eq(name, STR(ZONE_DEFAULT));
    cal = ucal_open(wide, (int32_t)name.len, "en", UCAL_GREGORIAN, &status);
    if (U_FAILURE(status)) {
        mem_free(zone);
        return err_nomem(err);
    }
    rc = changes_read(zone, cal, err);
    ucal_close(cal);
    if (rc) {
        zone_free(zone);
        return rc;
    }
    *out_zone = zone;
    return ERR_OK;
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    mem_free(zone->changes);
    mem_free(zone);
}

struct str zone_name(const struct zone *zone)
{
    return zone ? str_from(zone->name) : STR(ZONE_DEFAULT);
}

int64_t zone_offset_ms(const struct zone *zone, int64_t utc_ms)
{
    if (!zone || (zone->shanghai && utc_ms >= SHANGHAI_FIXED_MS))
        return SHANGHAI_OFFSET_MS;
    return change_at(zone, utc_ms)->offset_ms;
}

int64_t zone_local(const struct zone *zone, int64_t utc_ms)
{
    return utc_ms + zone_offset_ms(zone, utc_ms);
}

/* With the offsets before and after the nearest jump as candidates: the first instant whose wall time is
 * the wanted one; none = the wall time is skipped, and the jump itself is the answer. */
int64_t zone_utc(const struct zone *zone, int64_t local_ms)
{
    if (!zone || (zone->shanghai && local_ms >= SHANGHAI_FIXED_MS + DAY_MS))
        return local_ms - SHANGHAI_OFFSET_MS;
    const struct change *end = zone->changes + zone->changes_count;
    for (const struct change *c = change_at(zone, local_ms - 2 * DAY_MS); c < end; c++) {
        int64_t utc = local_ms - c->offset_ms;
        if (c > zone->changes && utc < c->from_ms)
            utc = c->from_ms; /* skipped by the jump at c->from_ms */
        if (c + 1 == end || utc < c[1].from_ms)
            return utc;
    }
    return local_ms; /* not reached: the last change has no end */
}

int64_t zone_day(const struct zone *zone, int64_t utc_ms)
{
    const int64_t local = zone_local(zone, utc_ms);
    return local >= 0 ? local / DAY_MS : -((-local + DAY_MS - 1) / DAY_MS);
}

int64_t zone_day_start(const struct zone *zone, int64_t day)
{
    return zone_utc(zone, day * DAY_MS);
}

void day_text(int64_t day, char out[DAY_TEXT_SIZE])
{
    int64_t year;
    int month, mday;
    civil_from_days(day, &year, &month, &mday);
    if (year < 0 || year > 9999)
        year = 0;
    (void)snprintf(out, DAY_TEXT_SIZE, "%04d-%02d-%02d", (int)year, month % 100, mday % 100);
}

enum err_code day_parse(struct str text, int64_t *out_day, struct err *err)
{
    int64_t year, month, mday, day, back_year;
    int back_month, back_day;
    if (text.len != 10 || text.ptr[4] != '-' || text.ptr[7] != '-' || text.ptr[0] < '0' ||
        text.ptr[5] < '0' || text.ptr[8] < '0' || text.ptr[0] > '9' || text.ptr[5] > '9' ||
        text.ptr[8] > '9' || !str_i64(str_slice(text, 0, 4), &year) ||
        !str_i64(str_slice(text, 5, 7), &month) || !str_i64(str_slice(text, 8, 10), &mday) || year < 1 ||
        month < 1 || month > 12 || mday < 1 || mday > 31)
        goto bad;
    day = days_from_civil(year, (int)month, (int)mday);
    civil_from_days(day, &back_year, &back_month, &back_day);
    if (back_month != month || back_day != mday)
        goto bad;
    *out_day = day;
    return ERR_OK;
bad:
    return err_set(err, ERR_INVALID, "base.day", ARG_STR("text", text), ARG_END);
}

int day_weekday(int64_t day)
{
    const int64_t w = (day + 3) % 7; /* 1970-01-01 was a Thursday */
    return (int)(w < 0 ? w + 7 : w) + 1;
}

int64_t day_month_start(int64_t day, int months)
{
    int64_t year, index;
    int month, mday;
    civil_from_days(day, &year, &month, &mday);
    index = year * 12 + (month - 1) + months;
    return days_from_civil(index / 12, (int)(index % 12) + 1, 1);
}

static enum err_code changes_read(struct zone *zone, UCalendar *cal, struct err *err)
{
    UErrorCode status = U_ZERO_ERROR;
    struct change *grown;
    double at = (double)FIRST_MS;
    int size = 0;

    for (;;) {
        int32_t offset;
        ucal_setMillis(cal, at, &status);
        offset = ucal_get(cal, UCAL_ZONE_OFFSET, &status) + ucal_get(cal, UCAL_DST_OFFSET, &status);
        if (U_FAILURE(status))
            return err_set(err, ERR_INTERNAL, "base.internal", ARG_END);
        if (zone->changes_count == size) {
            size = size ? size * 2 : 16;
            grown =
                size > TABLE_MAX ? NULL : mem_realloc(zone->changes, (size_t)size * sizeof(*zone->changes));
            if (!grown)
                return err_nomem(err);
            zone->changes = grown;
        }
        zone->changes[zone->changes_count++] = (struct change) { (int64_t)at, offset };
        if (!ucal_getTimeZoneTransitionDate(cal, UCAL_TZ_TRANSITION_NEXT, &at, &status) ||
            at >= (double)LAST_MS)
            return ERR_OK;
    }
}

static const struct change *change_at(const struct zone *zone, int64_t utc_ms)
{
    int low = 0, high = zone->changes_count - 1; /* the answer is in [low, high] */
    while (low < high) {
        const int mid = (low + high + 1) / 2;
        if (zone->changes[mid].from_ms <= utc_ms)
            low = mid;
        else
            high = mid - 1;
    }
    return &zone->changes[low];
}
