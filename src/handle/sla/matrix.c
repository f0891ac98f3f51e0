/* matrix.c - rows sorted by (service, level, calendar), found by binary search. */
#include "handle/sla/matrix.h"
#include "base/json.h"

#include <stdlib.h>

#define MINUTE_MS INT64_C(60000)
#define LIMIT_MINUTES_MAX (INT64_C(60) * 24 * 366 * 20)
#define NONE (-1)

enum row_calendar { ROW_KEY, ROW_NON_KEY, ROW_WORKING, ROW_NON_WORKING, ROW_ALWAYS, ROW_CALENDAR__COUNT };

static const char *const CALENDARS[ROW_CALENDAR__COUNT] = {
    [ROW_KEY] = "key",         [ROW_NON_KEY] = "non-key",
    [ROW_WORKING] = "working", [ROW_NON_WORKING] = "non-working",
    [ROW_ALWAYS] = "always",
};

struct row {
    int64_t id;
    struct str service, level;
    enum row_calendar calendar;
    int64_t minutes[SLA_CLOCK__COUNT]; /* NONE = silent */
    bool workaround_ok;
};

struct service {
    struct str code, general, calendar;
};

struct sla_matrix {
    struct arena *arena; /* owns everything */
    struct row *rows;
    struct service *services; /* sorted by code */
    int rows_count, services_count;
};

static enum err_code rows_read(struct sla_matrix *matrix, const json_t *rows, struct err *err);
static enum err_code row_read(struct sla_matrix *matrix, const json_t *json, struct row *row,
                              struct err *err);
static enum err_code services_read(struct sla_matrix *matrix, json_t *services, struct err *err);
static enum err_code text_copy(struct arena *arena, const json_t *json, struct str *out, struct err *err);
static enum err_code bad(struct err *err, const char *what, int index);
static int row_order(const void *a, const void *b);
static int service_order(const void *a, const void *b);
static const struct service *service_find(const struct sla_matrix *matrix, struct str code);
static const struct row *rows_of(const struct sla_matrix *matrix, struct str service, struct str level,
                                 int *out_count);
static const struct row *row_choose(const struct row *rows, int count, const bool holds[ROW_CALENDAR__COUNT],
                                    enum sla_clock clock, bool *out_paired);

enum err_code sla_matrix_new(const json_t *snapshot, struct sla_matrix **out_matrix, struct err *err)
{
    struct arena *arena = arena_new((size_t)64 << 20);
    struct sla_matrix *matrix;
    enum err_code rc;
    if (!arena)
        return err_nomem(err);
    matrix = arena_alloc(arena, 1, sizeof(*matrix));
    if (!matrix) {
        arena_free(arena);
        return err_nomem(err);
    }
    matrix->arena = arena;
    rc = rows_read(matrix, json_object_get(snapshot, "rows"), err);
    if (!rc)
        rc = services_read(matrix, json_object_get(snapshot, "services"), err);
    if (rc) {
        arena_free(arena);
        return err_in(err, "sla.matrix");
    }
    *out_matrix = matrix;
    return ERR_OK;
}

void sla_matrix_free(struct sla_matrix *matrix)
{
    if (matrix)
        arena_free(matrix->arena);
}

const struct calendar *sla_matrix_calendar(const struct sla_matrix *matrix,
                                           const struct sla_calendars *calendars, struct str service)
{
    const struct service *found = service_find(matrix, service);
    const struct calendar *own = NULL;
    if (found && found->calendar.len)
        own = calendars->find(calendars->ctx, found->calendar);
    return own ? own : calendars->office;
}

enum err_code sla_matrix_terms(void *ctx, struct str service, struct str level, int64_t opened_ms,
                               struct sla_term out_terms[SLA_CLOCK__COUNT], struct err *err)
{
    const struct sla_lookup *lookup = ctx;
    const struct service *found = service_find(lookup->matrix, service);
    const struct calendar *office = sla_matrix_calendar(lookup->matrix, lookup->calendars, service);
    const struct row *levels[3] = { NULL }; /* own level, own any, general */
    int counts[3] = { 0 };
    bool holds[ROW_CALENDAR__COUNT];
    (void)err;

    holds[ROW_KEY] = calendar_key_at(office, opened_ms) != NULL;
    holds[ROW_NON_KEY] = !holds[ROW_KEY];
    holds[ROW_WORKING] = calendar_works_at(office, opened_ms);
    holds[ROW_NON_WORKING] = !holds[ROW_WORKING];
    holds[ROW_ALWAYS] = true;

    levels[0] = rows_of(lookup->matrix, service, level, &counts[0]);
    levels[1] = rows_of(lookup->matrix, service, STR(SLA_LEVEL_ANY), &counts[1]);
    if (found && found->general.len)
        levels[2] = rows_of(lookup->matrix, found->general, level, &counts[2]);

    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        static const enum sla_source sources[3] = { SLA_OWN, SLA_ANY, SLA_GENERAL };
        out_terms[c] = (struct sla_term) { .source = SLA_NOT_AGREED,
                                           .calendar = lookup->calendars->always,
                                           .calendar_name = STR("always") };
        for (int i = 0; i < 3; i++) {
            bool paired = false;
            const struct row *row = row_choose(levels[i], counts[i], holds, (enum sla_clock)c, &paired);
            if (!row)
                continue;
            out_terms[c].source = sources[i];
            out_terms[c].limit_ms = row->minutes[c] * MINUTE_MS;
            out_terms[c].row_id = row->id;
            out_terms[c].workaround_ok = row->workaround_ok;
            out_terms[c].calendar_name = str_from(CALENDARS[row->calendar]);
            if (row->calendar == ROW_WORKING && !paired)
                out_terms[c].calendar = office;
            break;
        }
    }
    return ERR_OK;
}

int sla_matrix_levels(const struct sla_matrix *matrix, struct str service, struct str *out_levels, int max)
{
    const struct service *found = service_find(matrix, service);
    int count = 0;
    for (int i = 0; i < matrix->rows_count; i++) {
        const struct row *row = &matrix->rows[i];
        bool known = str_eq(row->level, STR(SLA_LEVEL_ANY));
        if (!str_eq(row->service, service) &&
            !(found && found->general.len && str_eq(row->service, found->general)))
            continue;
        for (int k = 0; k < count; k++)
            known |= str_eq(out_levels[k], row->level);
        if (!known && count < max)
            out_levels[count++] = row->level;
    }
    for (int i = 1; i < count; i++) { /* a handful: insertion */
        const struct str level = out_levels[i];
        int k = i;
        for (; k > 0 && str_cmp(out_levels[k - 1], level) > 0; k--)
            out_levels[k] = out_levels[k - 1];
        out_levels[k] = level;
    }
    return count;
}

static enum err_code rows_read(struct sla_matrix *matrix, const json_t *rows, struct err *err)
{
    const size_t count = json_array_size(rows);
    if (!json_is_array(rows))
        return bad(err, "/rows", -1);
    if (count > SLA_ROWS_MAX)
        return err_set(err, ERR_LIMIT, "sla.matrix_too_large", ARG_END);
    matrix->rows = arena_alloc(matrix->arena, count ? count : 1, sizeof(*matrix->rows));
    if (!matrix->rows)
        return err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        const enum err_code rc = row_read(matrix, json_array_get(rows, i), &matrix->rows[i], err);
        if (rc == ERR_INVALID)
            return bad(err, "/rows", (int)i);
        if (rc)
            return rc;
    }
    matrix->rows_count = (int)count;
    if (count > 1)
        qsort(matrix->rows, count, sizeof(*matrix->rows), row_order);
    return ERR_OK;
}

static enum err_code row_read(struct sla_matrix *matrix, const json_t *json, struct row *row, struct err *err)
{
    const json_t *limits = json_object_get(json, "limits"), *workaround = json_object_get(json, "workaround");
    const char *calendar = json_string_value(json_object_get(json, "calendar"));
    enum err_code rc = text_copy(matrix->arena, json_object_get(json, "service"), &row->service, err);
    if (!rc)
        rc = text_copy(matrix->arena, json_object_get(json, "level"), &row->level, err);
    if (rc)
        return rc;
    row->id = json_get_id(json, "id");
    if (!row->id || !calendar)
        return ERR_INVALID;
    row->calendar = ROW_CALENDAR__COUNT;
    for (int k = 0; k < ROW_CALENDAR__COUNT; k++)
        if (!strcmp(calendar, CALENDARS[k]))
            row->calendar = (enum row_calendar)k;
    if (row->calendar == ROW_CALENDAR__COUNT)
        return ERR_INVALID;
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        const json_t *minutes = json_object_get(limits, sla_clock_name((enum sla_clock)c));
        row->minutes[c] = NONE;
        if (!minutes || json_is_null(minutes))
            continue;
        row->minutes[c] = json_integer_value(minutes);
        if (!json_is_integer(minutes) || row->minutes[c] < 0 || row->minutes[c] > LIMIT_MINUTES_MAX)
            return ERR_INVALID;
    }
    /* Where the row is silent: levels 1 and 2 take an emergency workaround as restored. */
    row->workaround_ok = json_is_boolean(workaround)
                             ? json_is_true(workaround)
                             : str_eq(row->level, STR("1")) || str_eq(row->level, STR("2"));
    return ERR_OK;
}

static enum err_code services_read(struct sla_matrix *matrix, json_t *services, struct err *err)
{
    const size_t count = json_object_size(services);
    const char *code;
    json_t *value;
    if (!json_is_object(services))
        return bad(err, "/services", -1);
    if (count > SLA_SERVICES_MAX)
        return err_set(err, ERR_LIMIT, "sla.matrix_too_large", ARG_END);
    matrix->services = arena_alloc(matrix->arena, count ? count : 1, sizeof(*matrix->services));
    if (!matrix->services)
        return err_nomem(err);
    json_object_foreach(services, code, value)
    {
        struct service *service = &matrix->services[matrix->services_count];
        const char *general = json_string_value(json_object_get(value, "general"));
        const char *calendar = json_string_value(json_object_get(value, "calendar"));
        service->code = arena_str(matrix->arena, str_from(code));
        service->general = arena_str(matrix->arena, str_from(general ? general : ""));
        service->calendar = arena_str(matrix->arena, str_from(calendar ? calendar : ""));
        if (!service->code.ptr || !service->general.ptr || !service->calendar.ptr)
            return err_nomem(err);
        matrix->services_count++;
    }
    if (count > 1)
        qsort(matrix->services, count, sizeof(*matrix->services), service_order);
    return ERR_OK;
}

static enum err_code text_copy(struct arena *arena, const json_t *json, struct str *out, struct err *err)
{
    if (!json_is_string(json) || !json_string_length(json))
        return ERR_INVALID; /* the caller knows where */
    *out = arena_str(arena, json_to_str(json));
    return out->ptr ? ERR_OK : err_nomem(err);
}

static enum err_code bad(struct err *err, const char *what, int index)
{
    char pointer[64];
    (void)snprintf(pointer, sizeof(pointer), index < 0 ? "%s" : "%s/%d", what, index);
    (void)err_set(err, ERR_INVALID, "sla.matrix_row", ARG_END);
    return err_pointer(err, str_from(pointer));
}

static int row_order(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = str_cmp(x->service, y->service);
    if (!order)
        order = str_cmp(x->level, y->level);
    if (!order)
        order = (int)x->calendar - (int)y->calendar;
    return order ? order : x->id < y->id ? -1 : x->id > y->id;
}

static int service_order(const void *a, const void *b)
{
    const struct service *x = a, *y = b;
    return str_cmp(x->code, y->code);
}

static const struct service *service_find(const struct sla_matrix *matrix, struct str code)
{
    const struct service key = { .code = code };
    return matrix->services_count
               ? bsearch(&key, matrix->services, (size_t)matrix->services_count, sizeof(key), service_order)
               : NULL;
}

/* The rows of one service and level: neighbours. */
static const struct row *rows_of(const struct sla_matrix *matrix, struct str service, struct str level,
                                 int *out_count)
{
    int low = 0, high = matrix->rows_count, end;
    while (low < high) {
        const int mid = (low + high) / 2;
        const struct row *row = &matrix->rows[mid];
        const int order = str_cmp(row->service, service);
        if (order < 0 || (!order && str_cmp(row->level, level) < 0))
            low = mid + 1;
        else
            high = mid;
    }
    for (end = low; end < matrix->rows_count; end++)
        if (!str_eq(matrix->rows[end].service, service) || !str_eq(matrix->rows[end].level, level))
            break;
    *out_count = end - low;
    return matrix->rows + low;
}

/* The first row that holds and is not silent about the clock; they come in order of speciality. */
static const struct row *row_choose(const struct row *rows, int count, const bool holds[ROW_CALENDAR__COUNT],
                                    enum sla_clock clock, bool *out_paired)
{
    bool has[ROW_CALENDAR__COUNT] = { false };
    for (int i = 0; i < count; i++)
        has[rows[i].calendar] = true;
    *out_paired = has[ROW_WORKING] && has[ROW_NON_WORKING];
    for (int i = 0; i < count; i++) {
        const enum row_calendar calendar = rows[i].calendar;
        const bool alone = calendar == ROW_WORKING && !has[ROW_NON_WORKING];
        if ((holds[calendar] || alone) && rows[i].minutes[clock] != NONE)
            return &rows[i];
    }
    return NULL;
}
