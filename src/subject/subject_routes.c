/* subject_routes.c - the HTTP side of subjects; see subjects.h */
#include "base/json.h"
#include "platform/identity/principal.h"
#include "subject/subjects.h"

#include <stdio.h>

#define DEPTH_MAX 6

/* Scope of one subject: its organisation, under the right to read its type. */
static bool sees(const struct request *req, const struct subject_info *info)
{
    char permission[128];
    (void)snprintf(permission, sizeof permission, "%s.read", info->type);
    const struct scope_row row = { .org_id = info->org,
                                   .org_path = subjects_org_path(req->ctx, info->org, req->arena),
                                   .subject_id = info->id,
                                   .has_org = true };
    return principal_sees(req->who, str_from(permission), &row);
}

/* The subject of the path, if there is one and the asker may see it; else 404. */
static enum err_code asked(struct request *req, struct subject_info *info, struct err *err)
{
    struct subjects *subjects = req->ctx;
    int64_t id;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc && !(subjects_get(subjects, id, info) && sees(req, info)))
        rc = err_set(err, ERR_NOT_FOUND, "subject.none", ARG_END);
    return rc;
}

/* GET core/subjects/{id} */
static enum err_code subject_get(struct request *req, struct reply *reply, struct err *err)
{
    struct subject_info info;
    const enum err_code rc = asked(req, &info, err);
    if (rc)
        return rc;
    return reply_json(reply,
                      json_pack("{s:o,s:s,s:s,s:s,s:o}", "id", json_id(info.id), "type", info.type, "code",
                                info.code, "name", info.name, "org", json_id(info.org)),
                      err);
}

static enum err_code walk_of(const struct request *req, enum graph_walk *out, struct err *err)
{
    static const char *const names[GRAPH_WALK__COUNT] = { "around", "impact", "causes" };
    const struct str asked_for = request_query(req, "walk");
    *out = GRAPH_AROUND;
    if (!asked_for.ptr)
        return ERR_OK;
    for (int i = 0; i < GRAPH_WALK__COUNT; i++)
        if (str_eq(asked_for, str_from(names[i]))) {
            *out = (enum graph_walk)i;
            return ERR_OK;
        }
    (void)err_set(err, ERR_INVALID, "subject.walk", ARG_STR("walk", asked_for), ARG_END);
    return err_pointer(err, STR("/?walk"));
}

/* Only for who may see alarms as well as the subject: a state tells of an alarm. */
static json_t *state_json(const struct request *req, bool visible, const struct subject_state *state)
{
    if (!visible || !subjects_states_known(req->ctx) || !principal_may(req->who, STR("core.alarm.read")))
        return json_null();
    if (!state->alarms)
        return json_string("ok");
    return json_string(state->held ? "held" : "problem");
}

static void add_node(struct request *req, json_t *nodes, const struct subject_state *state, int depth,
                     int more, int *hidden)
{
    struct subject_info info;
    if (!subjects_get(req->ctx, state->id, &info))
        return; /* deleted meanwhile */
    const bool visible = sees(req, &info);
    json_t *shown = state_json(req, visible, state);
    const bool told = json_is_string(shown);
    *hidden += !visible;
    (void)json_array_append_new(
        nodes, json_pack("{s:o,s:s,s:s,s:s,s:i,s:o,s:o,s:i,s:i}", "id", json_id(info.id), "type",
                         visible ? info.type : "", "code", visible ? info.code : "", "name",
                         visible ? info.name : "***", "depth", depth, "state", shown, "grade",
                         told && state->grade ? json_integer(state->grade) : json_null(), "alarms",
                         told ? state->alarms : 0, "more", visible ? more : 0));
}

/* GET core/subjects/{id}/graph */
static enum err_code graph_get(struct request *req, struct reply *reply, struct err *err)
{
    struct subjects *subjects = req->ctx;
    struct subject_info info;
    struct graph_answer answer;
    enum graph_walk walk;
    int64_t depth;
    enum err_code rc = asked(req, &info, err);
    if (!rc)
        rc = walk_of(req, &walk, err);
    if (!rc)
        rc = request_query_i64(req, "depth", 1, DEPTH_MAX, 2, &depth, err);
    if (!rc)
        rc = graph_walk(subjects_graph(subjects), walk, info.id, (int)depth, subjects_now(subjects),
                        req->arena, &answer, err);
    if (rc)
        return rc;
    struct subject_state *states = arena_alloc(req->arena, (size_t)answer.count + 1, sizeof *states);
    if (!states)
        return err_nomem(err);
    states[0].id = info.id;
    for (int i = 0; i < answer.count; i++)
        states[i + 1].id = answer.steps[i].subject;
    rc = subjects_states(subjects, req->arena, states, answer.count + 1, err);
    if (rc)
        return rc;
    json_t *nodes = json_array(), *edges = json_array();
    int hidden = 0;
    add_node(req, nodes, &states[0], 0, 0, &hidden);
    for (int i = 0; i < answer.count; i++)
        add_node(req, nodes, &states[i + 1], answer.steps[i].depth, answer.steps[i].more, &hidden);
    for (int i = 0; i < answer.relations_count; i++) {
        const struct relation *relation = &answer.relations[i];
        (void)json_array_append_new(edges, json_pack("{s:o,s:o,s:o,s:s}", "id", json_id(relation->id), "from",
                                                     json_id(relation->from), "to", json_id(relation->to),
                                                     "kind", relation_name(relation->kind)));
    }
    json_t *body = json_pack("{s:o,s:o,s:o,s:b,s:i}", "start", json_id(info.id), "nodes", nodes, "edges",
                             edges, "cut", answer.cut, "hidden", hidden);
    return reply_json(reply, body, err);
}

const struct route SUBJECT_ROUTES[] = {
    { "GET", "/api/v1/core/subjects/{id}", "*", subject_get, 0 },
    { "GET", "/api/v1/core/subjects/{id}/graph", "*", graph_get, 0 },
    { 0 },
};
