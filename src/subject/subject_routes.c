/* subject_routes.c - the HTTP side of subjects; see subjects.h */
#include "base/json.h"
#include "platform/identity/principal.h"
#include "subject/subjects.h"

#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 6

/* The subject of the path, if there is one and the asker may see it; else 404. */
static enum err_code asked(struct request *req, struct subject_info *info, struct err *err)
{
    struct subjects *subjects = req->ctx;
    int64_t id;
    bool seen = false;
    enum err_code rc = request_path_id(req, "id", &id, err);
    if (!rc && subjects_get(subjects, id, info))
        rc = subjects_seen(subjects, req->who, req->arena, &id, 1, &seen, err);
    return rc || seen ? rc : err_set(err, ERR_NOT_FOUND, "subject.none", ARG_END);
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
static json_t *state_json(const struct request *req, const struct subject_state *state)
{
    if (!subjects_states_known(req->ctx) || !principal_may(req->who, STR("core.alarm.read")))
        return json_null();
    if (!state->alarms)
        return json_string("ok");
    return json_string(state->held ? "held" : "problem");
}

static void add_node(struct request *req, json_t *nodes, const struct subject_state *state, int depth,
                     int more)
{
    struct subject_info info;
    if (!subjects_get(req->ctx, state->id, &info))
        return; /* deleted meanwhile */
    json_t *shown = state_json(req, state);
    const bool told = json_is_string(shown);
    (void)json_array_append_new(
        nodes, json_pack("{s:o,s:s,s:s,s:s,s:i,s:o,s:o,s:i,s:i}", "id", json_id(info.id), "type", info.type,
                         "code", info.code, "name", info.name, "depth", depth, "state", shown, "grade",
                         told && state->grade ? json_integer(state->grade) : json_null(), "alarms",
                         told ? state->alarms : 0, "more", more));
}

struct spot {
    int64_t id;
    int place;
};

/* What the asker sees of a walk: place 0 is the start, i + 1 is step i. */
struct picture {
    struct graph_answer *answer;
    int64_t *ids;
    struct spot *spots; /* by id */
    int *ends;          /* the places of each relation's ends, -1: none */
    bool *seen;         /* may be read */
    bool *reached;      /* and hangs on the start by others that may be read */
    int count, hidden;
};

static int by_id(const void *a, const void *b)
{
    const int64_t left = ((const struct spot *)a)->id, right = ((const struct spot *)b)->id;
    return (left > right) - (left < right);
}

static int place_of(const struct picture *p, int64_t id)
{
    const struct spot key = { .id = id };
    const struct spot *spot = bsearch(&key, p->spots, (size_t)p->count, sizeof key, by_id);
    return spot ? spot->place : -1;
}

/* Along relations between subjects that are seen, until nothing is new: what hangs on the start by a hidden
 * one alone would tell of it. */
static void reach(struct picture *p)
{
    p->reached[0] = true;
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < p->answer->relations_count; i++) {
            const int from = p->ends[2 * i], to = p->ends[2 * i + 1];
            if (from < 0 || to < 0 || !p->seen[from] || !p->seen[to] || p->reached[from] == p->reached[to])
                continue;
            p->reached[from] = p->reached[to] = more = true;
        }
    }
}

static enum err_code look(struct request *req, struct picture *p, int64_t start, struct err *err)
{
    const int relations = p->answer->relations_count;
    p->count = p->answer->count + 1;
    const size_t count = (size_t)p->count;
    p->ids = arena_alloc(req->arena, count, sizeof *p->ids);
    p->spots = arena_alloc(req->arena, count, sizeof *p->spots);
    p->ends = arena_alloc(req->arena, (size_t)relations * 2 + 2, sizeof *p->ends);
    p->seen = arena_alloc(req->arena, count, sizeof *p->seen);
    p->reached = arena_alloc(req->arena, count, sizeof *p->reached);
    if (!p->ids || !p->spots || !p->ends || !p->seen || !p->reached)
        return err_nomem(err);
    for (int i = 0; i < p->count; i++) {
        p->ids[i] = i ? p->answer->steps[i - 1].subject : start;
        p->spots[i] = (struct spot) { p->ids[i], i };
    }
    qsort(p->spots, count, sizeof *p->spots, by_id);
    for (int i = 0; i < relations; i++) {
        p->ends[2 * i] = place_of(p, p->answer->relations[i].from);
        p->ends[2 * i + 1] = place_of(p, p->answer->relations[i].to);
    }
    const enum err_code rc = subjects_seen(req->ctx, req->who, req->arena, p->ids, p->count, p->seen, err);
    for (int i = 0; !rc && i < p->count; i++)
        p->hidden += !p->seen[i];
    if (!rc)
        reach(p);
    return rc;
}

static void add_edges(const struct picture *p, json_t *edges)
{
    for (int i = 0; i < p->answer->relations_count; i++) {
        const struct relation *relation = &p->answer->relations[i];
        const int from = p->ends[2 * i], to = p->ends[2 * i + 1];
        if (from >= 0 && to >= 0 && p->reached[from] && p->reached[to])
            (void)json_array_append_new(edges,
                                        json_pack("{s:o,s:o,s:o,s:s}", "id", json_id(relation->id), "from",
                                                  json_id(relation->from), "to", json_id(relation->to),
                                                  "kind", relation_name(relation->kind)));
    }
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
    struct picture p = { .answer = &answer };
    struct subject_state *states = arena_alloc(req->arena, (size_t)answer.count + 1, sizeof *states);
    rc = states ? look(req, &p, info.id, err) : err_nomem(err);
    for (int i = 0; !rc && i < p.count; i++)
        states[i].id = p.ids[i];
    if (!rc)
        rc = subjects_states(subjects, req->arena, states, p.count, err);
    if (rc)
        return rc;
    json_t *nodes = json_array(), *edges = json_array();
    for (int i = 0; i < p.count; i++)
        if (p.reached[i])
            add_node(req, nodes, &states[i], i ? answer.steps[i - 1].depth : 0,
                     i && !p.hidden ? answer.steps[i - 1].more : 0);
    add_edges(&p, edges);
    json_t *body = json_pack("{s:o,s:o,s:o,s:b,s:i}", "start", json_id(info.id), "nodes", nodes, "edges",
                             edges, "cut", answer.cut, "hidden", p.hidden);
    return reply_json(reply, body, err);
}

const struct route SUBJECT_ROUTES[] = {
    { "GET", "/api/v1/core/subjects/{id}", "*", subject_get, 0 },
    { "GET", "/api/v1/core/subjects/{id}/graph", "*", graph_get, 0 },
    { 0 },
};
