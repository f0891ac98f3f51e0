/* replay.c - one walk over the events, all clocks side by side.
 *
 * Of each clock: `since` is the start of the stretch that is now open (running, paused or ended); `due` and
 * `warn` are the crossings found so far, 0 = not yet crossed.
 * Invariant: used is exact at `since`. */
#include "handle/sla/replay.h"

#include <assert.h>
#include <stdlib.h>

struct walk {
    struct sla_term term;
    bool started, reached, waived, paused, workaround;
    int64_t since, used, due, warn, reached_ms;
    int64_t event_id; /* which opened the stretch */
};

struct replay {
    struct walk clocks[SLA_CLOCK__COUNT];
    struct sla_term terms[SLA_CLOCK__COUNT]; /* in force now */
    struct arena *arena;
    struct sla_pieces *pieces;
    sla_terms_fn find;
    void *ctx;
    int64_t opened_ms, closed_ms;
    struct str service, level;
};

static const char *const CLOCKS[SLA_CLOCK__COUNT] = {
    [SLA_RESPOND] = "respond", [SLA_CONTACT] = "contact", [SLA_START] = "start", [SLA_ARRIVE] = "arrive",
    [SLA_PLAN] = "plan",       [SLA_RESTORE] = "restore", [SLA_SOLVE] = "solve", [SLA_REPORT] = "report",
};
static const char *const EVENTS[SLA_EVENT__COUNT] = {
    [SLA_OPENED] = "opened", [SLA_EDITED] = "edited",     [SLA_REACHED] = "reached",
    [SLA_WAIVED] = "waived", [SLA_PAUSED] = "paused",     [SLA_RESUMED] = "resumed",
    [SLA_CLOSED] = "closed", [SLA_REOPENED] = "reopened", [SLA_VOIDED] = "voided",
    [SLA_NOTED] = "noted",
};
static const char *const SOURCES[SLA_SOURCE__COUNT] = {
    [SLA_NOT_AGREED] = "not_agreed",
    [SLA_OWN] = "own",
    [SLA_ANY] = "any",
    [SLA_GENERAL] = "general",
};
static const char *const STATES[SLA_STATE__COUNT] = {
    [SLA_STATE_NONE] = "not_agreed",   [SLA_STATE_RUNNING] = "running", [SLA_STATE_PAUSED] = "paused",
    [SLA_STATE_BREACHED] = "breached", [SLA_STATE_MET] = "met",         [SLA_STATE_LATE] = "late",
    [SLA_STATE_WAIVED] = "waived",
};

#define BIT(clock) (1u << (clock))
/* What has been done when a step is reached: whoever restored a service has also answered the call. */
static const unsigned IMPLIES[SLA_CLOCK__COUNT] = {
    [SLA_CONTACT] = BIT(SLA_RESPOND),
    [SLA_START] = BIT(SLA_RESPOND),
    [SLA_ARRIVE] = BIT(SLA_RESPOND) | BIT(SLA_CONTACT),
    [SLA_PLAN] = BIT(SLA_RESPOND),
    [SLA_RESTORE] = BIT(SLA_RESPOND) | BIT(SLA_CONTACT) | BIT(SLA_START),
    [SLA_SOLVE] = SLA_ALL_CLOCKS & ~BIT(SLA_REPORT),
};
#define REOPENS (BIT(SLA_RESTORE) | BIT(SLA_SOLVE))

static int event_order(const void *a, const void *b);
static enum err_code apply(struct replay *replay, const struct sla_event *event, struct err *err);
static enum err_code advance(struct replay *replay, enum sla_clock clock, int64_t to_ms, struct err *err);
static enum err_code piece_add(struct replay *replay, enum sla_clock clock, enum sla_piece_kind kind,
                               int64_t from_ms, int64_t to_ms, int64_t counted_ms, struct err *err);
static void term_set(struct walk *walk, const struct sla_term *term, int64_t at_ms);
static void reach(struct walk *walk, int64_t at_ms, bool workaround);
static int64_t warn_limit(const struct walk *walk);
static void state_of(const struct walk *walk, int64_t now_ms, struct sla_clock_state *out);

const char *sla_clock_name(enum sla_clock clock)
{
    return CLOCKS[clock];
}

const char *sla_event_name(enum sla_event_kind kind)
{
    return EVENTS[kind];
}

const char *sla_source_name(enum sla_source source)
{
    return SOURCES[source];
}

const char *sla_state_name(enum sla_state state)
{
    return STATES[state];
}

bool sla_clock_from(struct str name, enum sla_clock *out_clock)
{
    for (int i = 0; i < SLA_CLOCK__COUNT; i++) {
        if (str_eq(name, str_from(CLOCKS[i]))) {
            *out_clock = (enum sla_clock)i;
            return true;
        }
    }
    return false;
}

bool sla_event_from(struct str name, enum sla_event_kind *out_kind)
{
    for (int i = 0; i < SLA_EVENT__COUNT; i++) {
        if (str_eq(name, str_from(EVENTS[i]))) {
            *out_kind = (enum sla_event_kind)i;
            return true;
        }
    }
    return false;
}

enum err_code sla_replay(struct sla_event *events, int count, int64_t now_ms, sla_terms_fn terms, void *ctx,
                         struct arena *arena, struct sla_pieces *pieces, struct sla_result *out_result,
                         struct err *err)
{
    struct replay replay = { .arena = arena, .pieces = pieces, .find = terms, .ctx = ctx };
    const struct sla_event *opened = NULL;
    struct sla_result result = { 0 };
    enum err_code rc;

    if (count > SLA_EVENTS_MAX)
        return err_set(err, ERR_LIMIT, "sla.too_many_events", ARG_INT("max", SLA_EVENTS_MAX), ARG_END);
    for (int i = 0; i < count; i++) /* an event that voids another takes its place; marked by kind */
        for (int k = 0; events[i].voids && k < count; k++)
            if (events[k].id == events[i].voids)
                events[k].kind = SLA_VOIDED;
    for (int i = 0; i < count; i++)
        if (events[i].kind == SLA_OPENED && (!opened || events[i].id < opened->id))
            opened = &events[i];
    if (!opened || opened->at_ms > now_ms)
        return err_set(err, ERR_INVALID, "sla.not_opened", ARG_END);
    replay.opened_ms = opened->at_ms;
    rc = apply(&replay, opened, err);
    if (rc)
        return rc;
    if (count > 1)
        qsort(events, (size_t)count, sizeof(*events), event_order);
    for (int i = 0; i < count; i++) {
        if (events[i].kind == SLA_OPENED || events[i].at_ms > now_ms)
            continue;
        rc = apply(&replay, &events[i], err);
        if (rc)
            return rc;
    }
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        rc = advance(&replay, (enum sla_clock)c, now_ms, err);
        if (rc)
            return rc;
        state_of(&replay.clocks[c], now_ms, &result.clocks[c]);
        if (result.clocks[c].state == SLA_STATE_RUNNING) {
            rc = piece_add(&replay, (enum sla_clock)c, SLA_PIECE_AHEAD, now_ms, result.clocks[c].due_ms,
                           result.clocks[c].term.limit_ms - result.clocks[c].used_ms, err);
            if (rc)
                return rc;
        }
    }
    result.opened_ms = replay.opened_ms;
    result.closed_ms = replay.closed_ms;
    result.service = replay.service;
    result.level = replay.level;
    *out_result = result;
    return ERR_OK;
}

int64_t sla_next_due(const struct sla_result *result, unsigned warned, unsigned breached)
{
    int64_t next = 0;
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        const struct sla_clock_state *clock = &result->clocks[c];
        int64_t at = 0;
        /* a clock paused at the very instant it was due has a due instant too */
        if (clock->state != SLA_STATE_RUNNING && clock->state != SLA_STATE_BREACHED &&
            clock->state != SLA_STATE_PAUSED)
            continue;
        if (clock->state != SLA_STATE_PAUSED && clock->warn_ms && !((warned | breached) & BIT(c)))
            at = clock->warn_ms;
        else if (clock->due_ms && !(breached & BIT(c)))
            at = clock->due_ms;
        if (at && (!next || at < next))
            next = at;
    }
    return next;
}

static int event_order(const void *a, const void *b)
{
    const struct sla_event *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static enum err_code apply(struct replay *replay, const struct sla_event *event, struct err *err)
{
    const int64_t at = event->at_ms < replay->opened_ms ? replay->opened_ms : event->at_ms;
    unsigned clocks = event->clocks & SLA_ALL_CLOCKS;
    enum err_code rc;

    if (event->kind == SLA_VOIDED || event->kind == SLA_NOTED)
        return ERR_OK;
    if (event->kind == SLA_REACHED)
        for (int c = 0; c < SLA_CLOCK__COUNT; c++)
            if (event->clocks & BIT(c))
                clocks |= IMPLIES[c];
    if (event->kind == SLA_OPENED || event->kind == SLA_EDITED) {
        rc = replay->find(replay->ctx, event->service, event->level, replay->opened_ms, replay->terms, err);
        if (rc)
            return rc;
        replay->service = event->service;
        replay->level = event->level;
        clocks = SLA_ALL_CLOCKS;
    }
    if (event->kind == SLA_CLOSED) {
        if (replay->closed_ms)
            return ERR_OK;
        replay->closed_ms = at;
        clocks = SLA_ALL_CLOCKS & ~BIT(SLA_REPORT);
    }
    if (event->kind == SLA_REOPENED) {
        replay->closed_ms = 0;
        clocks = REOPENS;
    }
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        struct walk *walk = &replay->clocks[c];
        if (!(clocks & BIT(c)))
            continue;
        rc = advance(replay, (enum sla_clock)c, at, err);
        if (rc)
            return rc;
        walk->event_id = event->id;
        switch (event->kind) {
        case SLA_OPENED:
            walk->started = true;
            walk->since = at;
            term_set(walk, &replay->terms[c], at);
            break;
        case SLA_EDITED:
            if (!walk->reached)
                term_set(walk, &replay->terms[c], at);
            break;
        case SLA_REACHED:
            /* a workaround is no restoration where none is accepted, but the call was answered */
            if (event->workaround && c == SLA_RESTORE && !walk->term.workaround_ok)
                break;
            if (!walk->reached)
                reach(walk, at, event->workaround && c == SLA_RESTORE);
            break;
        case SLA_CLOSED:
            if (!walk->reached)
                reach(walk, at, false);
            walk->paused = false;
            break;
        case SLA_REOPENED:
            if (!walk->reached)
                break;
            walk->reached = walk->workaround = false;
            walk->reached_ms = 0;
            term_set(walk, &replay->terms[c], at);
            break;
        case SLA_WAIVED:
            walk->waived = true;
            break;
        case SLA_PAUSED:
            walk->paused = true;
            break;
        case SLA_RESUMED:
            walk->paused = false;
            break;
        case SLA_VOIDED:
        case SLA_NOTED:
        case SLA_EVENT__COUNT:
            break;
        }
    }
    return ERR_OK;
}

/* Brings a clock from `since` to `to`: adds what counted, finds the crossings, records the piece. */
static enum err_code advance(struct replay *replay, enum sla_clock clock, int64_t to_ms, struct err *err)
{
    struct walk *walk = &replay->clocks[clock];
    const int64_t from = walk->since;
    int64_t counted = 0;
    enum sla_piece_kind kind = SLA_PIECE_RUN;
    if (!walk->started || to_ms <= from)
        return ERR_OK;
    walk->since = to_ms;
    if (walk->reached || walk->waived) {
        kind = SLA_PIECE_ENDED;
    } else if (walk->paused) {
        kind = SLA_PIECE_PAUSE;
    } else if (walk->term.source != SLA_NOT_AGREED) {
        counted = calendar_between(walk->term.calendar, from, to_ms);
        if (!walk->due && walk->used + counted >= walk->term.limit_ms)
            walk->due = calendar_add(walk->term.calendar, from, walk->term.limit_ms - walk->used);
        if (!walk->warn && walk->used + counted >= warn_limit(walk))
            walk->warn = calendar_add(walk->term.calendar, from, warn_limit(walk) - walk->used);
        walk->used += counted;
    }
    return piece_add(replay, clock, kind, from, to_ms, counted, err);
}

static enum err_code piece_add(struct replay *replay, enum sla_clock clock, enum sla_piece_kind kind,
                               int64_t from_ms, int64_t to_ms, int64_t counted_ms, struct err *err)
{
    struct sla_pieces *pieces = replay->pieces;
    const struct walk *walk = &replay->clocks[clock];
    if (!pieces || walk->term.source == SLA_NOT_AGREED)
        return ERR_OK;
    if (pieces->count == pieces->size) {
        const int size = pieces->size ? pieces->size * 2 : 32;
        struct sla_piece *grown =
            size > SLA_PIECES_MAX * 2 ? NULL : arena_alloc(replay->arena, (size_t)size, sizeof(*grown));
        if (!grown)
            return err_nomem(err);
        if (pieces->count)
            memcpy(grown, pieces->items, (size_t)pieces->count * sizeof(*grown));
        pieces->items = grown;
        pieces->size = size;
    }
    pieces->items[pieces->count++] = (struct sla_piece) {
        .clock = clock,
        .kind = kind,
        .from_ms = from_ms,
        .to_ms = to_ms,
        .counted_ms = counted_ms,
        .used_ms = kind == SLA_PIECE_AHEAD ? walk->used + counted_ms : walk->used,
        .term = walk->term,
        .event_id = walk->event_id,
    };
    return ERR_OK;
}

/* Rule 2: what is used stays used. */
static void term_set(struct walk *walk, const struct sla_term *term, int64_t at_ms)
{
    walk->term = *term;
    if (term->source == SLA_NOT_AGREED || walk->used < term->limit_ms)
        walk->due = 0;
    else if (!walk->due)
        walk->due = at_ms;
    if (term->source == SLA_NOT_AGREED || walk->used < warn_limit(walk))
        walk->warn = 0;
    else if (!walk->warn)
        walk->warn = at_ms;
}

static void reach(struct walk *walk, int64_t at_ms, bool workaround)
{
    walk->reached = true;
    walk->reached_ms = at_ms;
    walk->workaround = workaround;
}

static int64_t warn_limit(const struct walk *walk)
{
    return walk->term.limit_ms / 100 * SLA_WARN_PERCENT + walk->term.limit_ms % 100 * SLA_WARN_PERCENT / 100;
}

static void state_of(const struct walk *walk, int64_t now_ms, struct sla_clock_state *out)
{
    *out = (struct sla_clock_state) { .term = walk->term,
                                      .used_ms = walk->used,
                                      .reached_ms = walk->reached_ms,
                                      .workaround = walk->workaround };
    if (walk->term.source == SLA_NOT_AGREED) {
        out->state = SLA_STATE_NONE;
        return;
    }
    if (walk->waived && !walk->reached) {
        out->state = SLA_STATE_WAIVED;
        return;
    }
    out->due_ms = walk->due;
    out->warn_ms = walk->warn;
    if (walk->reached) {
        /* what it was due at when it was reached: as if it had gone on from there */
        if (!out->due_ms)
            out->due_ms =
                calendar_add(walk->term.calendar, walk->reached_ms, walk->term.limit_ms - walk->used);
        out->state = walk->due && walk->reached_ms > walk->due ? SLA_STATE_LATE : SLA_STATE_MET;
        return;
    }
    if (walk->due && now_ms > walk->due) {
        out->state = SLA_STATE_BREACHED;
        return;
    }
    if (walk->paused) {
        out->state = SLA_STATE_PAUSED;
        return;
    }
    out->state = SLA_STATE_RUNNING;
    if (!out->due_ms)
        out->due_ms = calendar_add(walk->term.calendar, walk->since, walk->term.limit_ms - walk->used);
    if (!out->warn_ms)
        out->warn_ms = calendar_add(walk->term.calendar, walk->since, warn_limit(walk) - walk->used);
}
