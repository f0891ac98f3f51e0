/* replay_test.c - the rules by table, and against an oracle that lives through a case minute by minute. */
#include "handle/sla/replay.h"
#include "test.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define ALL SLA_ALL_CLOCKS
#define BIT(c) (1u << (c))

struct world {
    struct calendar *always, *office;
};

static void world_init(struct world *world)
{
    const struct calendar_spec always = { .always = true };
    const struct calendar_spec office = { .hours = STR(CALENDAR_OFFICE_HOURS), .holidays_cn = true };
    struct err err = { 0 };
    test_ok(!calendar_new(&always, &world->always, &err) && !calendar_new(&office, &world->office, &err),
            "%s", err.id);
}

static void world_done(struct world *world)
{
    calendar_free(world->always);
    calendar_free(world->office);
}

/* Levels of the table tests: "1" = 10/60 always, "2" = solve 480 office, "3" = 120 always, "none". */
static enum err_code terms(void *ctx, struct str service, struct str level, int64_t opened_ms,
                           struct sla_term out[SLA_CLOCK__COUNT], struct err *err)
{
    const struct world *world = ctx;
    (void)service;
    (void)opened_ms;
    memset(out, 0, sizeof(*out) * SLA_CLOCK__COUNT);
    for (int c = 0; c < SLA_CLOCK__COUNT; c++)
        out[c].calendar = world->always;
    if (str_eq(level, STR("bad")))
        return err_set(err, ERR_NOT_FOUND, "sla.not_opened", ARG_END);
    if (str_eq(level, STR("1"))) {
        out[SLA_RESPOND] =
            (struct sla_term) { .source = SLA_GENERAL, .limit_ms = 10 * MINUTE, .calendar = world->always };
        out[SLA_RESTORE] = (struct sla_term) {
            .source = SLA_GENERAL, .limit_ms = 60 * MINUTE, .calendar = world->always, .workaround_ok = true
        };
        out[SLA_REPORT] =
            (struct sla_term) { .source = SLA_GENERAL, .limit_ms = 480 * MINUTE, .calendar = world->always };
    } else if (str_eq(level, STR("2"))) {
        out[SLA_SOLVE] =
            (struct sla_term) { .source = SLA_OWN, .limit_ms = 480 * MINUTE, .calendar = world->office };
    } else if (str_eq(level, STR("3"))) {
        out[SLA_RESTORE] =
            (struct sla_term) { .source = SLA_OWN, .limit_ms = 120 * MINUTE, .calendar = world->always };
    }
    return ERR_OK;
}

/* Times of the table are minutes after Friday 2026-11-20 17:00 in Shanghai. */
static void test_rules(void **state)
{
    static const struct {
        const char *name;
        struct {
            int minute;
            enum sla_event_kind kind;
            unsigned clocks;
            const char *level;
            bool workaround;
            int voids;
        } events[8];
        int now;
        enum sla_clock clock;
        enum sla_state want;
        int due, used; /* minutes; due -1 = none */
    } cases[] = {
        { "fresh", { { 0, SLA_OPENED, 0, "1", 0, 0 } }, 1, SLA_RESPOND, SLA_STATE_RUNNING, 10, 1 },
        { "not agreed", { { 0, SLA_OPENED, 0, "none", 0, 0 } }, 1, SLA_RESPOND, SLA_STATE_NONE, -1, 0 },
        { "due is not yet breached",
          { { 0, SLA_OPENED, 0, "1", 0, 0 } },
          10,
          SLA_RESPOND,
          SLA_STATE_RUNNING,
          10,
          10 },
        { "breached", { { 0, SLA_OPENED, 0, "1", 0, 0 } }, 11, SLA_RESPOND, SLA_STATE_BREACHED, 10, 11 },
        { "met in time",
          { { 0, SLA_OPENED, 0, "1", 0, 0 }, { 10, SLA_REACHED, BIT(SLA_RESPOND), 0, 0, 0 } },
          50,
          SLA_RESPOND,
          SLA_STATE_MET,
          10,
          10 },
        { "late",
          { { 0, SLA_OPENED, 0, "1", 0, 0 }, { 11, SLA_REACHED, BIT(SLA_RESPOND), 0, 0, 0 } },
          50,
          SLA_RESPOND,
          SLA_STATE_LATE,
          10,
          11 },
        { "restoring implies responding",
          { { 0, SLA_OPENED, 0, "1", 0, 0 }, { 5, SLA_REACHED, BIT(SLA_RESTORE), 0, 0, 0 } },
          50,
          SLA_RESPOND,
          SLA_STATE_MET,
          10,
          5 },
        { "solving leaves the report",
          { { 0, SLA_OPENED, 0, "1", 0, 0 }, { 5, SLA_REACHED, BIT(SLA_SOLVE), 0, 0, 0 } },
          50,
          SLA_REPORT,
          SLA_STATE_RUNNING,
          480,
          50 },
        { "closing leaves the report",
          { { 0, SLA_OPENED, 0, "1", 0, 0 }, { 5, SLA_CLOSED, 0, 0, 0, 0 } },
          481,
          SLA_REPORT,
          SLA_STATE_BREACHED,
          480,
          481 },
        { "a pause does not count",
          { { 0, SLA_OPENED, 0, "1", 0, 0 },
            { 20, SLA_PAUSED, ALL, 0, 0, 0 },
            { 50, SLA_RESUMED, ALL, 0, 0, 0 } },
          60,
          SLA_RESTORE,
          SLA_STATE_RUNNING,
          90,
          30 },
        { "paused has no deadline",
          { { 0, SLA_OPENED, 0, "1", 0, 0 }, { 20, SLA_PAUSED, ALL, 0, 0, 0 } },
          60,
          SLA_RESTORE,
          SLA_STATE_PAUSED,
          -1,
          20 },
        { "a pause after the breach changes nothing",
          { { 0, SLA_OPENED, 0, "1", 0, 0 }, { 70, SLA_PAUSED, ALL, 0, 0, 0 } },
          90,
          SLA_RESTORE,
          SLA_STATE_BREACHED,
          60,
          70 },
        { "a longer limit lifts the breach",
          { { 0, SLA_OPENED, 0, "1", 0, 0 }, { 70, SLA_EDITED, 0, "3", 0, 0 } },
          90,
          SLA_RESTORE,
          SLA_STATE_RUNNING,
          120,
          90 },
        { "a shorter limit is due at the edit",
          { { 0, SLA_OPENED, 0, "3", 0, 0 }, { 70, SLA_EDITED, 0, "1", 0, 0 } },
          90,
          SLA_RESTORE,
          SLA_STATE_BREACHED,
          70,
          90 },
        { "an edit leaves what is reached",
          { { 0, SLA_OPENED, 0, "1", 0, 0 },
            { 70, SLA_REACHED, BIT(SLA_RESTORE), 0, 0, 0 },
            { 80, SLA_EDITED, 0, "3", 0, 0 } },
          90,
          SLA_RESTORE,
          SLA_STATE_LATE,
          60,
          70 },
        { "a workaround restores where accepted",
          { { 0, SLA_OPENED, 0, "1", 0, 0 }, { 30, SLA_REACHED, BIT(SLA_RESTORE), 0, 1, 0 } },
          90,
          SLA_RESTORE,
          SLA_STATE_MET,
          60,
          30 },
        { "and does not where it is not",
          { { 0, SLA_OPENED, 0, "3", 0, 0 }, { 30, SLA_REACHED, BIT(SLA_RESTORE), 0, 1, 0 } },
          90,
          SLA_RESTORE,
          SLA_STATE_RUNNING,
          120,
          90 },
        { "re-opened: the time between does not count",
          { { 0, SLA_OPENED, 0, "1", 0, 0 },
            { 40, SLA_CLOSED, 0, 0, 0, 0 },
            { 100, SLA_REOPENED, 0, 0, 0, 0 } },
          110,
          SLA_RESTORE,
          SLA_STATE_RUNNING,
          120,
          50 },
        { "re-opened: responding stays met",
          { { 0, SLA_OPENED, 0, "1", 0, 0 },
            { 5, SLA_CLOSED, 0, 0, 0, 0 },
            { 100, SLA_REOPENED, 0, 0, 0, 0 } },
          110,
          SLA_RESPOND,
          SLA_STATE_MET,
          10,
          5 },
        { "waived",
          { { 0, SLA_OPENED, 0, "1", 0, 0 }, { 5, SLA_WAIVED, BIT(SLA_RESTORE), 0, 0, 0 } },
          110,
          SLA_RESTORE,
          SLA_STATE_WAIVED,
          -1,
          5 },
        { "a voided event does not count",
          { { 0, SLA_OPENED, 0, "1", 0, 0 },
            { 5, SLA_REACHED, BIT(SLA_RESPOND), 0, 0, 0 },
            { 9, SLA_REACHED, BIT(SLA_RESPOND), 0, 0, 2 } },
          110,
          SLA_RESPOND,
          SLA_STATE_MET,
          10,
          9 },
        { "an event before the opening counts from it",
          { { 0, SLA_OPENED, 0, "1", 0, 0 }, { -5, SLA_REACHED, BIT(SLA_RESPOND), 0, 0, 0 } },
          110,
          SLA_RESPOND,
          SLA_STATE_MET,
          10,
          0 },
        { "working time over the weekend",
          { { 0, SLA_OPENED, 0, "2", 0, 0 } },
          100,
          SLA_SOLVE,
          SLA_STATE_RUNNING,
          3 * 1440,
          60 }, /* Friday 17:00 + 480 min = Monday 17:00 */
    };
    struct world world;
    const int64_t base = test_at("2026-11-20T17:00:00+08:00");
    (void)state;
    world_init(&world);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sla_event events[8] = { 0 };
        struct sla_result result;
        struct sla_pieces pieces = { 0 };
        struct err err = { 0 };
        struct arena *arena = arena_new(1 << 20);
        int count = 0;
        for (; count < 8 && (count == 0 || cases[i].events[count].kind != SLA_OPENED); count++) {
            events[count] = (struct sla_event) { .id = count + 1,
                                                 .at_ms = base + cases[i].events[count].minute * MINUTE,
                                                 .kind = cases[i].events[count].kind,
                                                 .clocks = cases[i].events[count].clocks,
                                                 .level = str_from(cases[i].events[count].level),
                                                 .workaround = cases[i].events[count].workaround,
                                                 .voids = cases[i].events[count].voids };
        }
        test_ok(!sla_replay(events, count, base + cases[i].now * MINUTE, terms, &world, arena, &pieces,
                            &result, &err),
                "%s: %s", cases[i].name, err.id);
        const struct sla_clock_state *clock = &result.clocks[cases[i].clock];
        test_ok(clock->state == cases[i].want, "%s: %s", cases[i].name, sla_state_name(clock->state));
        test_ok(clock->due_ms == (cases[i].due < 0 ? 0 : base + cases[i].due * MINUTE), "%s: due %d",
                cases[i].name, (int)((clock->due_ms - base) / MINUTE));
        test_ok(clock->used_ms == cases[i].used * MINUTE, "%s: used %d", cases[i].name,
                (int)(clock->used_ms / MINUTE));
        /* the pieces of each clock join, and add up to what is used */
        int64_t used = 0;
        for (int p = 0; p < pieces.count; p++)
            if (pieces.items[p].clock == cases[i].clock && pieces.items[p].kind == SLA_PIECE_RUN)
                used += pieces.items[p].counted_ms;
        test_ok(used == clock->used_ms || clock->state == SLA_STATE_NONE, "%s: pieces", cases[i].name);
        arena_free(arena);
    }
    world_done(&world);
}

static void test_next_due(void **state)
{
    struct world world;
    struct sla_event events[] = { { .id = 1, .at_ms = 0, .kind = SLA_OPENED, .level = STR("1") } };
    struct sla_result result;
    struct err err = { 0 };
    (void)state;
    world_init(&world);
    test_ok(!sla_replay(events, 1, 0, terms, &world, NULL, NULL, &result, &err), "%s", err.id);
    assert_int_equal(sla_next_due(&result, 0, 0), 8 * MINUTE); /* 80 % of respond */
    assert_int_equal(sla_next_due(&result, BIT(SLA_RESPOND), 0), 10 * MINUTE);
    assert_int_equal(sla_next_due(&result, BIT(SLA_RESPOND), BIT(SLA_RESPOND)), 48 * MINUTE);
    assert_int_equal(sla_next_due(&result, 0, ALL), 0);
    world_done(&world);
}

static void test_bad(void **state)
{
    struct world world;
    struct sla_event paused[] = { { .id = 1, .at_ms = 5, .kind = SLA_PAUSED, .clocks = ALL } };
    struct sla_event bad[] = { { .id = 1, .at_ms = 5, .kind = SLA_OPENED, .level = STR("bad") } };
    struct sla_result result;
    struct err err = { 0 };
    (void)state;
    world_init(&world);
    assert_int_equal(sla_replay(paused, 1, 9, terms, &world, NULL, NULL, &result, &err), ERR_INVALID);
    assert_int_equal(sla_replay(paused, 0, 9, terms, &world, NULL, NULL, &result, &err), ERR_INVALID);
    assert_int_equal(sla_replay(bad, 1, 9, terms, &world, NULL, NULL, &result, &err), ERR_NOT_FOUND);
    assert_int_equal(sla_replay(bad, SLA_EVENTS_MAX + 1, 9, terms, &world, NULL, NULL, &result, &err),
                     ERR_LIMIT);
    world_done(&world);
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < SLA_CLOCK__COUNT; i++) {
        enum sla_clock clock;
        test_ok(sla_clock_from(str_from(sla_clock_name((enum sla_clock)i)), &clock) && (int)clock == i, "%d",
                i);
    }
    for (int i = 0; i < SLA_EVENT__COUNT; i++) {
        enum sla_event_kind kind;
        test_ok(sla_event_from(str_from(sla_event_name((enum sla_event_kind)i)), &kind) && (int)kind == i,
                "%d", i);
    }
}

/* ---- the oracle ---- */

#define LEVELS 4
#define CALENDARS 4
#define ROUNDS 500

struct random_world {
    struct calendar *calendars[CALENDARS];
    bool week[CALENDARS][7][1440];
    struct {
        int64_t day;
        bool off;
    } days[CALENDARS][4];
    int days_count[CALENDARS];
    struct {
        bool agreed, workaround_ok;
        int calendar, minutes;
    } terms[LEVELS][SLA_CLOCK__COUNT];
};

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static int random_below(uint64_t *seed, int n)
{
    return (int)(random_next(seed) % (uint64_t)n);
}

static int level_index(struct str level)
{
    return level.ptr[0] - '0';
}

static enum err_code random_terms(void *ctx, struct str service, struct str level, int64_t opened_ms,
                                  struct sla_term out[SLA_CLOCK__COUNT], struct err *err)
{
    const struct random_world *world = ctx;
    (void)service;
    (void)opened_ms;
    (void)err;
    for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
        const int calendar = world->terms[level_index(level)][c].calendar;
        out[c] = (struct sla_term) { .source = world->terms[level_index(level)][c].agreed ? SLA_OWN
                                                                                          : SLA_NOT_AGREED,
                                     .limit_ms = world->terms[level_index(level)][c].minutes * MINUTE,
                                     .calendar = world->calendars[calendar],
                                     .workaround_ok = world->terms[level_index(level)][c].workaround_ok };
    }
    return ERR_OK;
}

static void random_world_make(struct random_world *world, uint64_t *seed, int64_t base)
{
    static const char *const names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
    memset(world, 0, sizeof(*world));
    for (int k = 0; k < CALENDARS; k++) {
        char hours[CALENDAR_HOURS_MAX] = "";
        struct calendar_day days[4];
        struct err err = { 0 };
        for (int w = 0; w < 7; w++) {
            const int from = random_below(seed, 900), to = from + 30 + random_below(seed, 500);
            const size_t used = strlen(hours);
            if (k && random_below(seed, 4) == 0)
                continue;
            (void)snprintf(hours + used, sizeof(hours) - used, "%s %02d:%02d-%02d:%02d;", names[w], from / 60,
                           from % 60, to / 60, to % 60);
            for (int m = 0; m < 1440; m++)
                world->week[k][w][m] = k == 0 || (m >= from && m < to);
        }
        world->days_count[k] = k ? random_below(seed, 4) : 0;
        for (int d = 0; d < world->days_count[k]; d++) {
            world->days[k][d].day = (base + 8 * HOUR) / DAY_MS + random_below(seed, 6);
            world->days[k][d].off = random_below(seed, 2);
            days[d] = (struct calendar_day) { world->days[k][d].day,
                                              world->days[k][d].off ? STR("") : STR("00:00-24:00") };
        }
        const struct calendar_spec spec = {
            .always = k == 0, .hours = str_from(hours), .days = days, .days_count = world->days_count[k]
        };
        test_ok(!calendar_new(&spec, &world->calendars[k], &err), "%s %s", hours, err.id);
    }
    for (int level = 0; level < LEVELS; level++)
        for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
            world->terms[level][c].agreed = random_below(seed, 5) != 0;
            world->terms[level][c].workaround_ok = random_below(seed, 2);
            world->terms[level][c].calendar = random_below(seed, CALENDARS);
            world->terms[level][c].minutes = random_below(seed, 900);
        }
}

static bool slow_works(const struct random_world *world, int calendar, int64_t at_ms)
{
    const int64_t local = at_ms + 8 * HOUR, day = local / DAY_MS;
    for (int d = world->days_count[calendar] - 1; d >= 0; d--)
        if (world->days[calendar][d].day == day)
            return !world->days[calendar][d].off;
    return world->week[calendar][day_weekday(day) - 1][(local % DAY_MS) / MINUTE];
}

/* One clock as a person with a watch would keep it. */
struct slow_clock {
    int level; /* whose term holds */
    bool reached, waived, paused;
    int used;                /* minutes */
    int64_t due, reached_ms; /* 0 = none */
};

static void slow_due(const struct random_world *world, struct slow_clock *clock, int c, int64_t t)
{
    if (world->terms[clock->level][c].agreed && !clock->due &&
        clock->used >= world->terms[clock->level][c].minutes)
        clock->due = t;
}

static void slow_level(const struct random_world *world, struct slow_clock *clock, int c, int level,
                       int64_t t)
{
    clock->level = level;
    if (!world->terms[level][c].agreed || clock->used < world->terms[level][c].minutes)
        clock->due = 0;
    slow_due(world, clock, c, t);
}

static void slow_reach(struct slow_clock *clock, int64_t t)
{
    if (!clock->reached) {
        clock->reached = true;
        clock->reached_ms = t;
    }
}

/* The implications written out anew, as sentences. */
static bool slow_implied(enum sla_clock by, enum sla_clock what)
{
    if (by == what)
        return true;
    switch (by) {
    case SLA_SOLVE:
        return what != SLA_REPORT;
    case SLA_RESTORE:
        return what == SLA_START || what == SLA_CONTACT || what == SLA_RESPOND;
    case SLA_ARRIVE:
        return what == SLA_CONTACT || what == SLA_RESPOND;
    case SLA_CONTACT:
    case SLA_START:
    case SLA_PLAN:
        return what == SLA_RESPOND;
    case SLA_RESPOND:
    case SLA_REPORT:
    case SLA_CLOCK__COUNT:
        break;
    }
    return false;
}

static void slow_event(const struct random_world *world, struct slow_clock *clock, int c, bool *closed,
                       int *level, const struct sla_event *event, int64_t t)
{
    const bool hit = event->clocks & BIT(c);
    switch (event->kind) {
    case SLA_EDITED:
        *level = level_index(event->level);
        if (!clock->reached)
            slow_level(world, clock, c, *level, t);
        break;
    case SLA_REACHED:
        for (int by = 0; by < SLA_CLOCK__COUNT; by++)
            if ((event->clocks & BIT(by)) && slow_implied((enum sla_clock)by, (enum sla_clock)c) &&
                !(event->workaround && c == SLA_RESTORE && !world->terms[clock->level][c].workaround_ok))
                slow_reach(clock, t);
        break;
    case SLA_WAIVED:
        clock->waived |= hit;
        break;
    case SLA_PAUSED:
        clock->paused |= hit;
        break;
    case SLA_RESUMED:
        clock->paused &= !hit;
        break;
    case SLA_CLOSED:
        if (!*closed && c != SLA_REPORT) {
            slow_reach(clock, t);
            clock->paused = false;
        }
        *closed = true;
        break;
    case SLA_REOPENED:
        if (clock->reached && (c == SLA_RESTORE || c == SLA_SOLVE)) {
            clock->reached = false;
            clock->reached_ms = 0;
            slow_level(world, clock, c, *level, t);
        }
        *closed = false;
        break;
    case SLA_OPENED:
    case SLA_VOIDED:
    case SLA_NOTED:
    case SLA_EVENT__COUNT:
        break;
    }
}

static void oracle(const struct random_world *world, const struct sla_event *events, int count, int c,
                   int64_t now, struct slow_clock *out, bool *out_running_due_known)
{
    struct slow_clock clock = { .level = level_index(events[0].level) };
    bool closed = false;
    int level = clock.level;
    int64_t t = events[0].at_ms;
    slow_due(world, &clock, c, t);
    for (;; t += MINUTE) {
        slow_due(world, &clock, c, t);
        for (int i = 1; i < count && t <= now; i++)
            if (events[i].at_ms == t)
                slow_event(world, &clock, c, &closed, &level, &events[i], t);
        if (t >= now)
            break;
        if (!clock.reached && !clock.waived && !clock.paused && world->terms[clock.level][c].agreed)
            clock.used += slow_works(world, world->terms[clock.level][c].calendar, t);
    }
    *out = clock;
    *out_running_due_known = true;
    if (clock.due || clock.waived || clock.paused || clock.reached || !world->terms[clock.level][c].agreed)
        return;
    for (int used = clock.used; t < now + 30 * DAY_MS; t += MINUTE) {
        if (used >= world->terms[clock.level][c].minutes) {
            out->due = t;
            return;
        }
        used += slow_works(world, world->terms[clock.level][c].calendar, t);
    }
    *out_running_due_known = false; /* further than the oracle walks */
}

static void test_against_minutes(void **state)
{
    static const enum sla_event_kind kinds[] = { SLA_EDITED,  SLA_REACHED, SLA_PAUSED, SLA_PAUSED,
                                                 SLA_RESUMED, SLA_RESUMED, SLA_CLOSED, SLA_REOPENED,
                                                 SLA_WAIVED,  SLA_NOTED };
    static const char *const levels[LEVELS] = { "0", "1", "2", "3" };
    struct random_world *world = mem_alloc(1, sizeof(*world));
    uint64_t seed = 7;
    int compared[SLA_STATE__COUNT] = { 0 };
    (void)state;
    test_ok(world != NULL, "memory");
    for (int round = 0; round < ROUNDS; round++) {
        const int64_t base = test_at("2026-11-18T00:00:00Z") + random_below(&seed, 1440) * MINUTE;
        struct sla_event events[12] = { 0 }, shuffled[12];
        struct sla_result result;
        struct err err = { 0 };
        const int count = 1 + random_below(&seed, 11);
        const int64_t now = base + random_below(&seed, 4000) * MINUTE;
        random_world_make(world, &seed, base);
        events[0] = (struct sla_event) {
            .id = 1, .at_ms = base, .kind = SLA_OPENED, .level = str_from(levels[random_below(&seed, LEVELS)])
        };
        for (int i = 1; i < count; i++)
            events[i] = (struct sla_event) { .id = i + 1,
                                             .at_ms = base + random_below(&seed, 4000) * MINUTE,
                                             .kind = kinds[random_below(&seed, 10)],
                                             .level = str_from(levels[random_below(&seed, LEVELS)]),
                                             .clocks = (unsigned)random_next(&seed) &
                                                       (unsigned)random_next(&seed) & ALL,
                                             .workaround = random_below(&seed, 3) == 0 };
        memcpy(shuffled, events, sizeof(events));
        for (int i = count - 1; i > 0; i--) {
            const int k = random_below(&seed, i + 1);
            const struct sla_event swap = shuffled[i];
            shuffled[i] = shuffled[k];
            shuffled[k] = swap;
        }
        test_ok(!sla_replay(shuffled, count, now, random_terms, world, NULL, NULL, &result, &err), "%s",
                err.id);
        for (int c = 0; c < SLA_CLOCK__COUNT; c++) {
            struct slow_clock slow;
            bool known;
            const struct sla_clock_state *fast = &result.clocks[c];
            enum sla_state want;
            oracle(world, events, count, c, now, &slow, &known);
            if (!world->terms[slow.level][c].agreed)
                want = SLA_STATE_NONE;
            else if (slow.waived && !slow.reached)
                want = SLA_STATE_WAIVED;
            else if (slow.reached)
                want = slow.due && slow.reached_ms > slow.due ? SLA_STATE_LATE : SLA_STATE_MET;
            else if (slow.due && now > slow.due)
                want = SLA_STATE_BREACHED;
            else
                want = slow.paused ? SLA_STATE_PAUSED : SLA_STATE_RUNNING;
            compared[want]++;
            test_ok(fast->state == want, "round %d %s: %s, want %s", round, sla_clock_name((enum sla_clock)c),
                    sla_state_name(fast->state), sla_state_name(want));
            test_ok(want == SLA_STATE_NONE || fast->used_ms == slow.used * MINUTE,
                    "round %d %s: used %d, want %d", round, sla_clock_name((enum sla_clock)c),
                    (int)(fast->used_ms / MINUTE), slow.used);
            if (known && (want == SLA_STATE_RUNNING || want == SLA_STATE_BREACHED || want == SLA_STATE_LATE ||
                          want == SLA_STATE_PAUSED))
                test_ok(fast->due_ms == slow.due, "round %d %s %s: due %d, want %d", round,
                        sla_clock_name((enum sla_clock)c), sla_state_name(want),
                        (int)((fast->due_ms - base) / MINUTE), (int)((slow.due - base) / MINUTE));
        }
        for (int k = 0; k < CALENDARS; k++)
            calendar_free(world->calendars[k]);
    }
    for (int s = 0; s < SLA_STATE__COUNT; s++) /* every state was met often enough to mean something */
        test_ok(compared[s] >= 10, "state %s only %d times", sla_state_name((enum sla_state)s), compared[s]);
    mem_free(world);
}

TEST_MAIN(TEST(test_rules), TEST(test_next_due), TEST(test_bad), TEST(test_names), TEST(test_against_minutes))
