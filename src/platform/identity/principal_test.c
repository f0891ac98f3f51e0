#include "platform/identity/principal.h"
#include "test.h"

static const struct str READ[] = { { "ops.ticket.read", 15 }, { "ops.site.*", 10 } };
static const struct str ALL_OPS[] = { { "ops.*", 5 } };
static const int64_t SUBJECTS[] = { 7, 9 };

static const struct grant GRANTS[] = {
    { READ, 2, { .org_id = 5, .org_path = { "/1/5/", 5 } } },
    { ALL_OPS, 1, { .subjects = SUBJECTS, .subject_count = 2 } },
    { READ, 1, { .own = true } },
};
static const struct principal WHO = { .user_id = 3, .grants = GRANTS, .grant_count = 3 };

static void test_permissions(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *permission;
        bool want;
    } cases[] = {
        { "*", "a.b.c", true },
        { "a.*", "a.b.c", true },
        { "a.*", "ab.c", false },
        { "a.b.c", "a.b.c", true },
        { "a.b.c", "a.b.cd", false },
        { "a.b.*", "a.b", false },
        { "a.b.*", "a.b.*", true },
        { "a.b.*", "a.*", false },
        { "a.*", "a.b.*", true },
        { "a.b.c", "*", false },
        { "", "", true },
        { ".*", "a.b", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_ok(permission_covers(str_from(cases[i].pattern), str_from(cases[i].permission)) == cases[i].want,
                "%s over %s", cases[i].pattern, cases[i].permission);
    test_ok(principal_may(&WHO, STR("ops.site.update")) && !principal_may(&WHO, STR("core.user.read")),
            "may");
    test_ok(!principal_may_all(&WHO, STR("ops.site.update")), "not everywhere");
    test_ok(!principal_may(NULL, STR("x")), "nobody may nothing");
    test_ok(principal_may_all(&PRINCIPAL_SELF, STR("any.thing.here")), "the program may");
}

static void test_rows(void **state)
{
    (void)state;
    struct scope_row row = { .org_path = STR("/1/5/8/"), .has_org = true, .has_owner = true, .owner_id = 4 };
    test_ok(principal_sees(&WHO, STR("ops.ticket.read"), &row), "below the organisation");
    row.org_path = STR("/1/55/");
    test_ok(principal_sees(&WHO, STR("ops.ticket.read"), &row),
            "the subject grant does not limit such a type");
    row.has_subject = true;
    row.subject_id = 8;
    test_ok(!principal_sees(&WHO, STR("ops.ticket.read"), &row), "another organisation, another subject");
    row.subject_id = 9;
    test_ok(principal_sees(&WHO, STR("ops.ticket.read"), &row), "a subject of the list");
    row.subject_id = 8;
    row.owner_id = 3;
    test_ok(principal_sees(&WHO, STR("ops.ticket.read"), &row), "one's own");
    row = (struct scope_row) { 0 };
    test_ok(!principal_sees(&WHO, STR("ops.ticket.read"), &row),
            "a type without dimensions needs everything");
    test_ok(principal_sees(&PRINCIPAL_SELF, STR("ops.ticket.read"), &row), "which the program has");
}

static void test_granting(void **state)
{
    (void)state;
    const struct scope below = { .org_id = 8, .org_path = STR("/1/5/8/") };
    const struct scope beside = { .org_id = 6, .org_path = STR("/1/6/") };
    const struct scope all = { .all = true }, none = { 0 }, own = { .own = true };
    const int64_t one[] = { 9 }, other[] = { 10 };
    const struct scope few = { .subjects = one, .subject_count = 1 },
                       strange = { .subjects = other, .subject_count = 1 };
    test_ok(principal_may_grant(&WHO, STR("ops.site.update"), &below), "below");
    test_ok(!principal_may_grant(&WHO, STR("ops.site.update"), &beside), "beside");
    test_ok(!principal_may_grant(&WHO, STR("ops.site.update"), &all), "everything");
    test_ok(!principal_may_grant(&WHO, STR("ops.site.update"), &none), "no limit is more");
    test_ok(!principal_may_grant(&WHO, STR("ops.ticket.close"), &own), "own of somebody else");
    test_ok(principal_may_grant(&WHO, STR("ops.ticket.close"), &few), "a part of the subjects");
    test_ok(!principal_may_grant(&WHO, STR("ops.ticket.close"), &strange), "another subject");
    test_ok(principal_may_grant(&WHO, STR("ops.*"), &few) && !principal_may_grant(&WHO, STR("*"), &few),
            "patterns");
}

static void test_narrow(void **state)
{
    (void)state;
    static const struct {
        const char *permissions, *path; /* of the key */
        int64_t org;
        const char *permission; /* asked */
        const char *row;        /* of this organisation */
        bool want;
    } cases[] = {
        { "", "", 0, "ops.ticket.read", "/1/5/8/", true },
        { "ops.*", "", 0, "ops.ticket.read", "/1/5/8/", true },
        { "ops.ticket.read", "", 0, "ops.ticket.read", "/1/5/8/", true },
        { "ops.ticket.read", "", 0, "ops.site.update", "/1/5/8/", false },
        { "core.* ops.site.read", "", 0, "ops.site.read", "/1/5/8/", true },
        { "core.* ops.site.read", "", 0, "core.user.read", "/1/5/8/", false }, /* not held */
        { "*", "", 0, "core.user.read", "/1/5/8/", false },
        { "", "/1/5/8/", 8, "ops.ticket.read", "/1/5/8/9/", true },
        { "", "/1/5/8/", 8, "ops.ticket.read", "/1/5/7/", false },
        { "", "/1/", 1, "ops.ticket.read", "/1/5/7/", true },
        { "", "/1/6/", 6, "ops.ticket.read", "/1/5/7/", false },
        { "", "/1/6/", 6, "ops.ticket.read", "/1/6/", false }, /* nor what the user has not */
    };
    static const struct grant own[] = { { READ, 2, { .org_id = 5, .org_path = { "/1/5/", 5 } } } };
    struct err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 16);
        struct principal who = { .user_id = 3, .grants = own, .grant_count = 1 };
        const struct scope_row row = { .org_path = str_from(cases[i].row), .has_org = true };
        test_ok(arena && principal_narrow(arena, &who, str_from(cases[i].permissions), cases[i].org,
                                          str_from(cases[i].path), &err) == ERR_OK,
                "narrow");
        test_ok(principal_sees(&who, str_from(cases[i].permission), &row) == cases[i].want,
                "%s at %s under %s %s", cases[i].permission, cases[i].row, cases[i].permissions,
                cases[i].path);
    }
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 16);
    struct principal self = PRINCIPAL_SELF;
    test_ok(arena && principal_narrow(arena, &self, STR(""), 5, STR("/1/5/"), &err) == ERR_OK &&
                !principal_may_all(&self, STR("ops.site.read")) && principal_may(&self, STR("ops.site.read")),
            "everything becomes an organisation");
}

static void test_narrow_without_memory(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct err err = { 0 };
        struct principal who = PRINCIPAL_SELF;
        mem_fail_at(nth);
        struct arena *arena = arena_new(1 << 16);
        const enum err_code rc =
            arena ? principal_narrow(arena, &who, STR("a.b c.d"), 5, STR("/5/"), &err) : ERR_NOMEM;
        arena_free(arena);
        mem_fail_at(-1);
        test_ok(mem_live() == 0 && (rc == ERR_OK || rc == ERR_NOMEM), "no memory at %ld", nth);
        if (rc == ERR_OK)
            return;
    }
}

TEST_MAIN(TEST(test_permissions), TEST(test_rows), TEST(test_granting), TEST(test_narrow),
          TEST(test_narrow_without_memory))
