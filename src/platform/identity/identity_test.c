/* Users in the store: all or nothing, whatever fails. */
#include "platform/audit/audit.h"
#include "platform/identity/identity.h"
#include "store/store.h"
#include "test.h"
#include "teststore.h"

struct world {
    struct store *store;
    struct ids ids;
    struct settings *settings;
    struct audit *audit;
    struct identity *identity;
};

static void open_world(struct world *world)
{
    struct err err;
    *world = (struct world) { .store = teststore_new() };
    ids_init(&world->ids, &CLOCK_SYSTEM, 1);
    teststore_ok(settings_new(world->store, &world->settings, &err), &err, "settings");
    teststore_ok(settings_add(world->settings, IDENTITY_SETTINGS, &err), &err, "settings");
    teststore_ok(settings_load(world->settings, &err), &err, "settings");
    world->audit = audit_new(world->store, &world->ids, 1, NULL);
    const struct identity_config config = { .store = world->store,
                                            .ids = &world->ids,
                                            .clock = &CLOCK_SYSTEM,
                                            .settings = world->settings,
                                            .audit = world->audit };
    teststore_ok(identity_new(&config, &world->identity, &err), &err, "identity");
}

static void close_world(struct world *world)
{
    identity_free(world->identity);
    audit_free(world->audit);
    settings_free(world->settings);
    store_close(world->store);
}

static const char USERS[] = "SELECT COUNT(*) FROM app_user";
static const char SECRETS[] = "SELECT COUNT(*) FROM user_secret";
static const char GRANTS[] = "SELECT COUNT(*) FROM user_role";
static const char LINES[] = "SELECT COUNT(*) FROM audit";

static void test_first_start_is_all_or_nothing(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    struct identity_first first;
    open_world(&world);
    long nth = 0;
    for (;; nth++) {
        store_fail_at(world.store, nth, ERR_IO);
        const enum err_code rc = identity_start(world.identity, &first, &err);
        store_fail_at(world.store, -1, ERR_OK);
        if (rc == ERR_OK)
            break;
        test_ok(!first.made && teststore_number(world.store, USERS) == 0 &&
                    teststore_number(world.store, "SELECT COUNT(*) FROM org") == 0 &&
                    teststore_number(world.store, LINES) == 0,
                "nothing is left behind at %ld", nth);
    }
    test_ok(nth > 5 && first.made && strcmp(first.login, "admin") == 0 && strlen(first.password) >= 16,
            "made after %ld", nth);
    test_ok(teststore_number(world.store, USERS) == 1 && teststore_number(world.store, SECRETS) == 1 &&
                teststore_number(world.store, GRANTS) == 1 && teststore_number(world.store, LINES) == 1,
            "one of each, audited");
    teststore_ok(identity_start(world.identity, &first, &err), &err, "again");
    test_ok(!first.made && teststore_number(world.store, USERS) == 1, "only once");
    close_world(&world);
}

static void test_adding_and_resetting_under_failures(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    struct identity_first first;
    int64_t id = 0;
    char password[IDENTITY_PASSWORD_SIZE], other[IDENTITY_PASSWORD_SIZE];
    const struct identity_user user = { .login = STR("zhang"),
                                        .name = STR("\xe5\xbc\xa0"),
                                        .role_code = STR("admin") };
    open_world(&world);
    teststore_ok(identity_start(world.identity, &first, &err), &err, "start");
    for (long nth = 0;; nth++) {
        store_fail_at(world.store, nth, ERR_IO);
        const enum err_code rc =
            identity_user_add(world.identity, &PRINCIPAL_SELF, &user, &id, password, &err);
        store_fail_at(world.store, -1, ERR_OK);
        test_ok(teststore_number(world.store, USERS) == teststore_number(world.store, SECRETS) &&
                    teststore_number(world.store, USERS) == teststore_number(world.store, GRANTS) &&
                    teststore_number(world.store, USERS) == teststore_number(world.store, LINES) &&
                    teststore_number(world.store, USERS) == 1 + (rc == ERR_OK),
                "whole or not at all at %ld", nth);
        if (rc == ERR_OK)
            break;
    }
    test_ok(identity_user_add(world.identity, &PRINCIPAL_SELF, &user, &id, other, &err) == ERR_CONFLICT &&
                strcmp(err.id, "identity.login_there") == 0,
            "a login is there once");
    for (long nth = 0;; nth++) {
        store_fail_at(world.store, nth, ERR_IO);
        const enum err_code rc =
            identity_user_reset(world.identity, &PRINCIPAL_SELF, STR("zhang"), other, &err);
        store_fail_at(world.store, -1, ERR_OK);
        test_ok(teststore_number(world.store, "SELECT COUNT(*) FROM user_password_old") == (rc == ERR_OK),
                "history at %ld", nth);
        if (rc == ERR_OK)
            break;
    }
    test_ok(strcmp(password, other) != 0, "another password");
    test_ok(identity_user_reset(world.identity, &PRINCIPAL_SELF, STR("nobody"), other, &err) == ERR_NOT_FOUND,
            "nobody");
    close_world(&world);
}

static void test_a_principal_holds_what_the_store_says(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    struct identity_first first;
    char password[IDENTITY_PASSWORD_SIZE];
    int64_t id = 0;
    const struct principal *who = NULL;
    open_world(&world);
    teststore_ok(identity_start(world.identity, &first, &err), &err, "start");
    const struct identity_user plain = { .login = STR("li"), .name = STR("Li") };
    teststore_ok(identity_user_add(world.identity, &PRINCIPAL_SELF, &plain, &id, password, &err), &err,
                 "add");
    teststore_ok(identity_hold(world.identity, id, &who, &err), &err, "hold");
    test_ok(!principal_may(who, STR("core.user.read")) && who->grant_count == 0 && who->must_change_password,
            "deny by default");
    const struct identity_user more = { .login = STR("wang"),
                                        .name = STR("Wang"),
                                        .role_code = STR("admin") };
    int64_t wang = 0;
    test_ok(identity_user_add(world.identity, who, &more, &wang, password, &err) == ERR_FORBIDDEN,
            "who has nothing gives nothing");
    identity_release(world.identity, who);
    teststore_ok(identity_user_add(world.identity, &PRINCIPAL_SELF, &more, &wang, password, &err), &err,
                 "add");
    teststore_ok(identity_hold(world.identity, wang, &who, &err), &err, "hold");
    test_ok(principal_may_all(who, STR("any.thing.read")), "everything");
    identity_release(world.identity, who);
    test_ok(identity_hold(world.identity, 17, &who, &err) == ERR_NOT_FOUND, "nobody");
    close_world(&world);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct world world;
    struct err err;
    struct identity_first first;
    const struct principal *who = NULL;
    open_world(&world);
    teststore_ok(identity_start(world.identity, &first, &err), &err, "start");
    int64_t id = 0;
    char password[IDENTITY_PASSWORD_SIZE];
    const struct identity_user user = { .login = STR("zhang"), .name = STR("Z"), .role_code = STR("admin") };
    teststore_ok(identity_user_add(world.identity, &PRINCIPAL_SELF, &user, &id, password, &err), &err, "add");
    teststore_ok(identity_hold(world.identity, id, &who, &err), &err, "warm"); /* statements are cached now */
    identity_release(world.identity, who);
    for (long nth = 0;; nth++) {
        const long before = mem_live();
        mem_fail_at(nth);
        const enum err_code rc = identity_hold(world.identity, id, &who, &err);
        mem_fail_at(-1);
        if (rc == ERR_OK) {
            identity_release(world.identity, who);
            test_ok(nth > 1, "something was tried: %ld", nth);
            break;
        }
        test_ok(rc == ERR_NOMEM && mem_live() == before, "clean at %ld: %s, %ld blocks more", nth, err.id,
                mem_live() - before);
    }
    close_world(&world);
}

TEST_MAIN(TEST(test_first_start_is_all_or_nothing), TEST(test_adding_and_resetting_under_failures),
          TEST(test_a_principal_holds_what_the_store_says), TEST(test_out_of_memory))
