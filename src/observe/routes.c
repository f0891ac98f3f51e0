/* routes.c - what pages ask about checks and series, and what probe nodes say.  See observe.h. */
#include "observe/routes.h"
#include "base/json.h"
#include "base/log.h"
#include "platform/entity/entity.h"
#include "platform/identity/principal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WAITING_MAX 4 /* long polls at a time; more are answered at once */
#define POLL_MS 20000
#define BATCH_RESULTS_MAX 2000
#define POINTS_MAX 20000
#define SERIES_LIST_MAX 500

/* ---- who may see a check ---- */

struct look {
    struct request *req;
    struct entity *entity;
    const struct entity_type *type;
    int64_t id;
    bool absent; /* there is no such record any more; only those who see everything read its series */
};

static enum err_code look_fn(struct tx *tx, void *arg, struct err *err)
{
    struct look *look = arg;
    json_t *record = NULL;
    const struct entity_call call = {
        .entity = look->entity, .who = look->req->who, .lang = look->req->lang, .arena = look->req->arena
    };
    const enum err_code rc = entity_get(&call, tx, look->type, look->id, &record, err);
    json_decref(record);
    return rc;
}

/* ERR_NOT_FOUND when the check is not there or out of their scope. */
static enum err_code may_see(struct request *req, int64_t id, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    struct look look = { .req = req, .entity = ctx->entity, .id = id };
    if (!ctx->entity)
        return ERR_OK;
    look.type = entity_type_find(ctx->entity, "ops.check");
    if (!look.type)
        return err_set(err, ERR_NOT_FOUND, "probe.no_check", ARG_END);
    return store_read(ctx->store, look_fn, &look, err);
}

static bool sees_all(const struct request *req)
{
    return !req->who || principal_may_all(req->who, STR("ops.check.read"));
}

/* ---- checks ---- */

/* GET core/checks: the state of all that one may see. */
static enum err_code get_checks(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    json_t *list = NULL;
    enum err_code rc = checks_overview(ctx->checks, &list, err);
    if (rc)
        return rc;
    if (!sees_all(req)) {
        for (size_t i = json_array_size(list); i > 0; i--) {
            struct err ignored;
            const int64_t id = json_get_id(json_array_get(list, i - 1), "id");
            if (!id || may_see(req, id, &ignored))
                (void)json_array_remove(list, i - 1);
        }
    }
    json_t *answer = json_pack("{s:o}", "items", list);
    return answer ? reply_json(reply, answer, err) : err_nomem(err);
}

static enum err_code get_state(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    int64_t id;
    json_t *state = NULL;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc)
        rc = may_see(req, id, err);
    if (!rc)
        rc = checks_state(ctx->checks, id, &state, err);
    return rc ? rc : reply_json(reply, state, err);
}

static enum err_code post_run(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    int64_t id;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc)
        rc = may_see(req, id, err);
    if (!rc && !checks_has(ctx->checks, id))
        rc = err_set(err, ERR_NOT_FOUND, "probe.no_check", ARG_END);
    if (!rc)
        rc = collect_run_now(ctx->collect, id, err);
    if (!rc)
        reply_empty(reply);
    return rc;
}

/* ---- series ---- */

/* The check that a series belongs to, or 0. */
static int64_t check_of(struct str labels)
{
    struct str line;
    int64_t id = 0;
    while (str_cut(&labels, '\n', &line))
        if (str_starts(line, STR("check=")) && str_i64(str_slice(line, 6, line.len), &id))
            return id;
    return 0;
}

static enum err_code labels_json(struct str labels, json_t **out, struct err *err)
{
    json_t *json = json_object();
    struct str line;
    int failed = !json;
    while (!failed && str_cut(&labels, '\n', &line)) {
        const ptrdiff_t equals = str_find(line, STR("="));
        if (equals <= 0)
            continue;
        char name[SERIES_LABELS_BYTES];
        (void)snprintf(name, sizeof name, "%.*s", (int)equals, line.ptr);
        failed |= json_object_set_new(json, name,
                                      json_stringn(line.ptr + equals + 1, line.len - (size_t)equals - 1));
    }
    if (failed) {
        json_decref(json);
        return err_nomem(err);
    }
    *out = json;
    return ERR_OK;
}

/* GET core/series?check=ID: the series of a check with their labels. */
static enum err_code list_series(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    const struct str check = request_query(req, "check");
    int64_t id, ids[SERIES_LIST_MAX];
    if (!check.ptr || !str_i64(check, &id)) {
        (void)err_set(err, ERR_INVALID, "probe.no_check", ARG_END);
        return err_pointer(err, STR("/?check"));
    }
    enum err_code rc = may_see(req, id, err);
    if (rc)
        return rc;
    const struct series_label label = { STR("check"), check };
    size_t count = series_select(ctx->series, &label, 1, ids, SERIES_LIST_MAX);
    count = count < SERIES_LIST_MAX ? count : SERIES_LIST_MAX;
    json_t *list = json_array();
    int failed = !list;
    for (size_t i = 0; !failed && i < count; i++) {
        struct str text;
        json_t *labels = NULL;
        if (series_labels_get(ctx->series, ids[i], req->arena, &text, err) || labels_json(text, &labels, err))
            failed = 1;
        else
            failed |=
                json_array_append_new(list, json_pack("{s:o, s:o}", "id", json_id(ids[i]), "labels", labels));
    }
    json_t *answer = failed ? NULL : json_pack("{s:o}", "items", list);
    if (!answer) {
        json_decref(failed ? list : NULL);
        return err_nomem(err);
    }
    return reply_json(reply, answer, err);
}

static enum err_code query_instant(struct request *req, const char *name, int64_t absent, int64_t *out,
                                   struct err *err)
{
    const struct str text = request_query(req, name);
    return str_i64(text, out) ? ERR_OK : request_query_instant(req, name, absent, out, err);
}

/* "60", "60s", "5m", "1h", "1d" -> milliseconds; 0 when it is none of these. */
static int64_t parse_step(struct str text)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = { { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 } };
    int64_t number, scale = 1000;
    for (size_t i = 0; text.len > 1 && i < sizeof units / sizeof *units; i++)
        if (text.ptr[text.len - 1] == units[i].unit) {
            scale = units[i].ms;
            text.len--;
            break;
        }
    return str_i64(text, &number) && number > 0 && number <= 400 * 86400 ? number * scale : 0;
}

/* GET core/series/{id}?from&to&step&agg:
 * {"labels","from","to","step_ms","agg","points":[[at,value,good,failed, no_data]]}; instants as RFC 3339 or
 * milliseconds, points by milliseconds. */
static enum err_code get_series(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    const int64_t now = clock_now(ctx->clock);
    const struct str step_text = request_query(req, "step"), agg_text = request_query(req, "agg");
    int64_t id, from, to;
    struct str labels = { 0 };
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc)
        rc = series_labels_get(ctx->series, id, req->arena, &labels, err);
    if (!rc && check_of(labels))
        rc = may_see(req, check_of(labels), err);
    if (rc == ERR_NOT_FOUND && sees_all(req) && !series_labels_get(ctx->series, id, req->arena, &labels, err))
        rc = ERR_OK; /* the check is gone, its series is not */
    if (!rc)
        rc = query_instant(req, "to", now, &to, err);
    if (!rc)
        rc = query_instant(req, "from", to - 86400000, &from, err);
    if (rc)
        return rc;
    int64_t step = step_text.len ? parse_step(step_text) : 0;
    const int agg = agg_text.len             ? series_aggregate_from(agg_text)
                    : step || !step_text.ptr ? SERIES_AVG
                                             : SERIES_RAW;
    if ((step_text.len && !step) || agg < 0) {
        (void)err_set(err, ERR_INVALID, "series.range", ARG_END);
        return err_pointer(err, agg < 0 ? STR("/?agg") : STR("/?step"));
    }
    if (!step && agg != SERIES_RAW) { /* about 500 points */
        step = (to - from) / 500 / 1000 * 1000;
        step = step < 1000 ? 1000 : step;
    }
    struct series_point *points = NULL;
    size_t count = 0;
    rc = series_read(ctx->series, id, from, to, step, (enum series_aggregate)agg, POINTS_MAX, req->arena,
                     &points, &count, err);
    if (rc)
        return rc;
    struct buf out;
    buf_init(&out, (size_t)8 << 20);
    json_t *label_json = NULL;
    rc = labels_json(labels, &label_json, err);
    char *label_text = rc ? NULL : json_dumps(label_json, JSON_COMPACT);
    json_decref(label_json);
    buf_printf(&out, "{\"labels\":%s,\"from\":%lld,\"to\":%lld,\"step_ms\":%lld,\"points\":[",
               label_text ? label_text : "{}", (long long)from, (long long)to, (long long)step);
    free(label_text);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&out, "%s[%lld,", i ? "," : "", (long long)points[i].at_ms);
        if (isnan(points[i].value) || isinf(points[i].value))
            buf_text(&out, "null");
        else
            buf_printf(&out, "%.15g", points[i].value);
        buf_printf(&out, ",%u,%u,%u]", points[i].good, points[i].failed, points[i].no_data);
    }
    buf_text(&out, "]}");
    if (!rc)
        rc = buf_check(&out, err);
    if (!rc)
        reply_json_text(reply, buf_get(&out)); /* copied */
    buf_done(&out);
    return rc;
}

/* ---- probe nodes, for people ---- */

static struct node_actor actor_of(const struct request *req)
{
    const struct principal *who = req->who;
    return (struct node_actor) { .user_id = who ? who->user_id : 0,
                                 .user_name = who ? who->name : STR(""),
                                 .remote = req->remote,
                                 .request_id = req->id };
}

static enum err_code get_probes(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    json_t *list = NULL;
    const enum err_code rc = nodes_json(ctx->nodes, &list, err);
    if (rc)
        return rc;
    struct collect_stats stats;
    collect_stats_get(ctx->collect, &stats);
    json_t *local = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "id", "1", "name", "本机", "state",
                              "online", "checks", (json_int_t)stats.checks, "results", (json_int_t)stats.done,
                              "late", (json_int_t)stats.lag_over_200ms, "dropped", (json_int_t)stats.dropped);
    if (!local || json_array_insert_new(list, 0, local)) {
        json_decref(list);
        return err_nomem(err);
    }
    json_t *answer = json_pack("{s:o}", "items", list);
    return answer ? reply_json(reply, answer, err) : err_nomem(err);
}

static enum err_code answer_token(struct reply *reply, int64_t id, const char *token, struct err *err)
{
    json_t *answer = json_pack("{s:o, s:s}", "id", json_id(id), "token", token);
    reply_header(reply, "Cache-Control", STR("no-store"));
    return answer ? reply_json(reply, answer, err) : err_nomem(err);
}

/* GET core/probes/{id}/gaps */
static enum err_code get_gaps(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    json_t *json = NULL;
    int64_t id;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc)
        rc = nodes_gaps_json(ctx->nodes, id, &json, err);
    return rc ? rc : reply_json(reply, json, err);
}

static enum err_code post_probe(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    struct body {
        struct str name;
    } body = { 0 };
    static const struct field fields[] = {
        { .name = "name",
          .kind = FIELD_TEXT,
          .needed = true,
          .least = 1,
          .most = NODE_NAME_MAX,
          .offset = offsetof(struct body, name) },
        { 0 },
    };
    const struct node_actor actor = actor_of(req);
    char token[NODE_TOKEN_SIZE];
    int64_t id;
    enum err_code rc = request_fields(req, fields, &body, err);
    if (!rc)
        rc = nodes_create(ctx->nodes, body.name, &actor, &id, token, err);
    if (rc)
        return rc;
    reply->status = 201;
    return answer_token(reply, id, token, err);
}

static enum err_code post_token(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    const struct node_actor actor = actor_of(req);
    char token[NODE_TOKEN_SIZE];
    int64_t id;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc)
        rc = nodes_token(ctx->nodes, id, &actor, token, err);
    return rc ? rc : answer_token(reply, id, token, err);
}

static enum err_code delete_probe(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    const struct node_actor actor = actor_of(req);
    int64_t id;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc && checks_node_used(ctx->checks, id))
        rc = err_set(err, ERR_CONFLICT, "probe.used", ARG_END);
    if (!rc)
        rc = nodes_remove(ctx->nodes, id, &actor, err);
    if (!rc)
        reply_empty(reply);
    return rc;
}

/* ---- probe nodes, what they say (docs/probe.md) ---- */

/* Keys and results must not travel in the open; only within one machine. */
static enum err_code must_be_private(const struct request *req, struct err *err)
{
    if (req->secure || str_starts(req->remote, STR("127.")) || str_eq(req->remote, STR("::1")) ||
        str_starts(req->remote, STR("::ffff:127.")))
        return ERR_OK;
    return err_set(err, ERR_FORBIDDEN, "probe.needs_tls", ARG_END);
}

static enum err_code who_is_it(struct request *req, int64_t *out_node, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    const enum err_code rc = must_be_private(req, err);
    return rc ? rc : nodes_check(ctx->nodes, request_header(req, "Probe-Key"), out_node, err);
}

static enum err_code probe_register(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    struct body {
        struct str token, version;
    } body = { 0 };
    static const struct field fields[] = {
        { .name = "token",
          .kind = FIELD_TEXT,
          .needed = true,
          .least = 1,
          .most = 100,
          .offset = offsetof(struct body, token) },
        { .name = "version", .kind = FIELD_TEXT, .most = 30, .offset = offsetof(struct body, version) },
        { 0 },
    };
    char key[NODE_KEY_SIZE];
    int64_t id;
    enum err_code rc = must_be_private(req, err);
    if (!rc)
        rc = request_fields(req, fields, &body, err);
    if (!rc)
        rc = nodes_register(ctx->nodes, body.token, body.version, req->remote, &id, key, err);
    if (rc)
        return rc;
    reply_header(reply, "Cache-Control", STR("no-store"));
    json_t *answer = json_pack("{s:o, s:s}", "node", json_id(id), "key", key);
    return answer ? reply_json(reply, answer, err) : err_nomem(err);
}

static enum err_code probe_checks(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    int64_t node, known, clock_ms;
    json_t *answer = NULL;
    enum err_code rc = who_is_it(req, &node, err);
    if (!rc)
        rc = request_query_i64(req, "version", 0, INT64_MAX, 0, &known, err);
    if (!rc)
        rc = request_query_i64(req, "clock_ms", 0, INT64_MAX, 0, &clock_ms, err);
    if (rc)
        return rc;
    (void)nodes_seen(ctx->nodes, node, clock_ms, req->remote, -1, -1);
    /* a wait holds a worker, so only few may; the others come again */
    const bool wait = ++ctx->waiting <= WAITING_MAX;
    rc = checks_of_node(ctx->checks, node, known, wait ? POLL_MS : 0, &answer, err);
    --ctx->waiting;
    (void)nodes_seen(ctx->nodes, node, 0, req->remote, -1, -1);
    if (rc)
        return rc;
    if (answer)
        return reply_json(reply, answer, err);
    reply_empty(reply);
    return ERR_OK;
}

/* A text within its bounds; cut at a character when it is longer. */
static bool take_text(const json_t *json, const char *name, char *out, size_t size)
{
    const json_t *value = json_object_get(json, name);
    if (!value || json_is_null(value)) {
        out[0] = 0;
        return true;
    }
    const char *text = json_string_value(value);
    size_t len = text ? json_string_length(value) : 0;
    if (!text)
        return false;
    if (len >= size)
        for (len = size - 1; len && ((unsigned char)text[len] & 0xc0) == 0x80;)
            len--;
    memcpy(out, text, len);
    out[len] = 0;
    return true;
}

enum err_code result_from_json(const json_t *json, struct collect_result *out, struct err *err)
{
    struct collect_result result = { 0 };
    json_t *values = json_object_get(json, "values"), *value;
    const char *check = json_string_value(json_object_get(json, "check"));
    const char *cause = json_string_value(json_object_get(json, "cause"));
    const char *name;
    bool good = check && str_i64(str_from(check), &result.check_id) && result.check_id > 0 &&
                json_is_object(values) && json_is_integer(json_object_get(json, "at"));
    result.at_ms = json_integer_value(json_object_get(json, "at"));
    result.lag_us = json_integer_value(json_object_get(json, "lag_us"));
    result.version = (int32_t)json_integer_value(json_object_get(json, "version"));
    result.step = (uint8_t)json_integer_value(json_object_get(json, "step"));
    result.cause = cause ? CAUSE__COUNT : CAUSE_NONE;
    for (int i = 0; cause && i < CAUSE__COUNT; i++)
        if (strcmp(cause, COLLECT_CAUSE_NAMES[i]) == 0)
            result.cause = (uint8_t)i;
    good = good && result.cause < CAUSE__COUNT && result.at_ms > 0 && result.at_ms < INT64_C(1) << 45 &&
           take_text(json, "detail", result.detail, sizeof result.detail) &&
           take_text(json, "subject", result.subject, sizeof result.subject);
    json_object_foreach(values, name, value)
    {
        for (int i = 0; i < COLLECT_METRIC__COUNT; i++)
            if (strcmp(name, COLLECT_METRIC_NAMES[i]) == 0 && json_is_integer(value)) {
                result.present |= 1u << i;
                result.values[i] = json_integer_value(value);
            }
        good = good && json_is_integer(value); /* an unknown name is from a later version: left out */
    }
    if (!good)
        return err_set(err, ERR_INVALID, "probe.result", ARG_END);
    *out = result;
    return ERR_OK;
}

json_t *result_to_json(const struct collect_result *result)
{
    json_t *values = json_object();
    int failed = !values;
    for (int i = 0; !failed && i < COLLECT_METRIC__COUNT; i++)
        if (result->present >> i & 1)
            failed |= json_object_set_new(values, COLLECT_METRIC_NAMES[i], json_integer(result->values[i]));
    if (failed) {
        json_decref(values);
        return NULL;
    }
    json_t *json =
        json_pack("{s:o, s:i, s:I, s:I, s:s, s:o}", "check", json_id(result->check_id), "version",
                  (int)result->version, "at", (json_int_t)result->at_ms, "lag_us", (json_int_t)result->lag_us,
                  "cause", COLLECT_CAUSE_NAMES[result->cause], "values", values);
    if (json && *result->detail)
        failed |= json_object_set_new(json, "detail", json_string(result->detail));
    if (json && *result->subject)
        failed |= json_object_set_new(json, "subject", json_string(result->subject));
    if (json && result->step)
        failed |= json_object_set_new(json, "step", json_integer(result->step));
    if (failed) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static enum err_code probe_batch(struct request *req, struct reply *reply, struct err *err)
{
    struct routes_ctx *ctx = req->ctx;
    struct body {
        int64_t epoch, first, clock_ms, buffered, dropped;
        json_t *results;
    } body = { .buffered = -1, .dropped = -1 };
    static const struct field fields[] = {
        { .name = "epoch",
          .kind = FIELD_I64,
          .needed = true,
          .least = 1,
          .most = INT64_MAX,
          .offset = offsetof(struct body, epoch) },
        { .name = "first",
          .kind = FIELD_I64,
          .needed = true,
          .least = 1,
          .most = INT64_MAX - BATCH_RESULTS_MAX,
          .offset = offsetof(struct body, first) },
        { .name = "clock_ms",
          .kind = FIELD_I64,
          .needed = true,
          .least = 1,
          .most = INT64_MAX,
          .offset = offsetof(struct body, clock_ms) },
        { .name = "buffered",
          .kind = FIELD_I64,
          .least = 0,
          .most = INT64_MAX,
          .offset = offsetof(struct body, buffered) },
        { .name = "dropped",
          .kind = FIELD_I64,
          .least = 0,
          .most = INT64_MAX,
          .offset = offsetof(struct body, dropped) },
        { .name = "results", .kind = FIELD_JSON, .needed = true, .offset = offsetof(struct body, results) },
        { 0 },
    };
    int64_t node;
    enum err_code rc = who_is_it(req, &node, err);
    if (!rc)
        rc = request_fields(req, fields, &body, err);
    if (rc)
        return rc;
    const size_t count = json_array_size(body.results);
    if (!json_is_array(body.results) || count > BATCH_RESULTS_MAX) {
        (void)err_set(err, ERR_INVALID, "probe.result", ARG_END);
        return err_pointer(err, STR("/results"));
    }
    const int64_t correction =
        nodes_seen(ctx->nodes, node, body.clock_ms, req->remote, body.buffered, body.dropped);
    struct collect_result *results = arena_alloc(req->arena, count ? count : 1, sizeof *results);
    if (!results)
        return err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        rc = result_from_json(json_array_get(body.results, i), &results[i], err);
        if (rc) {
            char pointer[40];
            (void)snprintf(pointer, sizeof pointer, "/results/%zu", i);
            return err_pointer(err, str_from(pointer));
        }
        results[i].at_ms += correction;
    }
    const struct series_sender sender = { node, body.epoch, (uint64_t)body.first };
    uint64_t acknowledged = 0, missing = 0;
    rc = checks_take(ctx->checks, &sender, results, count, &acknowledged, &missing, err);
    if (rc)
        return rc;
    const struct node_gap gap = { .epoch = body.epoch,
                                  .first = body.first - (int64_t)missing,
                                  .count = (int64_t)missing,
                                  .until_ms = count ? results[0].at_ms : 0 };
    if (missing)
        nodes_gap(ctx->nodes, node, &gap);
    if (count)
        nodes_acknowledged(ctx->nodes, node, (int64_t)count, results[count - 1].at_ms);
    json_t *answer = json_pack("{s:I, s:I}", "acknowledged", (json_int_t)acknowledged, "clock_ms",
                               (json_int_t)clock_now(ctx->clock));
    return answer ? reply_json(reply, answer, err) : err_nomem(err);
}

/* clang-format off */
const struct route OBSERVE_ROUTES[] = {
    { "GET",    "/api/v1/core/checks",             "ops.check.read",     get_checks,     0 },
    { "GET",    "/api/v1/core/checks/{id}/state",  "ops.check.read",     get_state,      0 },
    { "POST",   "/api/v1/core/checks/{id}/run",    "ops.check.update",   post_run,       0 },
    { "GET",    "/api/v1/core/series",             "ops.check.read",     list_series,    0 },
    { "GET",    "/api/v1/core/series/{id}",        "ops.check.read",     get_series,     0 },
    { "GET",    "/api/v1/core/probes",             "core.probe.read",    get_probes,     0 },
    { "POST",   "/api/v1/core/probes",             "core.probe.create",  post_probe,     0 },
    { "GET",    "/api/v1/core/probes/{id}/gaps",   "core.probe.read",    get_gaps,       0 },
    { "POST",   "/api/v1/core/probes/{id}/token",  "core.probe.update",  post_token,     0 },
    { "DELETE", "/api/v1/core/probes/{id}",        "core.probe.delete",  delete_probe,   0 },
    { "POST",   "/api/probe/v1/register",          "",                   probe_register, ROUTE_NO_CSRF },
    { "GET",    "/api/probe/v1/checks",            "",                   probe_checks,   ROUTE_LONG },
    { "POST",   "/api/probe/v1/batch",             "",                   probe_batch,    ROUTE_NO_CSRF | ROUTE_LARGE },
    { 0 },
};
/* clang-format on */
