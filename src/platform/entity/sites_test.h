/* sites_test.h - the pack of the tests of records: a subject, a case, a fact, and who may see them. */
#pragma once
#include "rig.h"
#include "test.h"

#define T "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
static const char SITE[] =
    "{\"type\":\"object\",\"x-kind\":\"subject\"," T ",\"properties\":{"
    "\"phone\":{\"type\":\"string\",\"x-sensitive\":\"phone\"," T "},"
    "\"size\":{\"type\":\"number\"," T "},\"opened\":{\"type\":\"string\",\"format\":\"date\"," T "},"
    "\"note\":{\"type\":\"string\",\"maxLength\":2000," T "},"
    "\"geo\":{\"type\":\"object\",\"properties\":{\"lat\":{\"type\":\"number\"},\"lon\":{\"type\":\"number\"}"
    "}," T "},"
    "\"parent\":{\"type\":\"string\",\"x-ref\":\"p.site\"," T "},"
    "\"near\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"x-ref\":\"p.site\"}," T "},"
    "\"links\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"to\":{\"type\":"
    "\"string\","
    "\"x-ref\":\"p.site\"}}}," T "}},"
    "\"x-sort\":[\"code\",\"size\",\"opened\",\"name\"],\"x-index\":[[\"name\",\"size\"]],\"x-search\":["
    "\"name\",\"note\"],"
    "\"x-scope\":{\"org\":\"org\",\"own\":\"created_by\"}}";
static const char TAG[] = "{\"type\":\"object\"," T ",\"properties\":{\"code\":{\"type\":\"string\"," T "},"
                          "\"name\":{\"type\":\"string\",\"x-unique\":true," T "}},\"x-key\":[\"code\"]}";
static const char JOB[] =
    "{\"type\":\"object\",\"x-kind\":\"case\"," T ",\"properties\":{"
    "\"level\":{\"type\":\"integer\",\"enum\":[1,2,3],\"default\":3," T
    ",\"x-labels\":{\"1\":{\"zh-CN\":\"一级\",\"en\":\"first\"},"
    "\"2\":{\"zh-CN\":\"二级\",\"en\":\"second\"},\"3\":{\"zh-CN\":\"三级\",\"en\":\"third\"}}},"
    "\"site\":{\"type\":\"string\",\"x-ref\":\"p.site\"," T "}},"
    "\"x-number\":\"GZ-{yyyy}{MM}-{seq:4}\",\"x-sort\":[\"-opened_at\"],\"x-scope\":{\"org\":\"org\"}}";
static const char EVENT[] = "{\"type\":\"object\",\"x-kind\":\"fact\"," T ",\"properties\":{"
                            "\"score\":{\"type\":\"integer\"," T "}}}";

static const struct str ALL_RIGHTS[] = { { "p.*", 3 } };
static const struct str SOME_RIGHTS[] = {
    { "p.site.read", 11 }, { "p.site.create", 13 }, { "p.site.update", 13 }, { "p.site.delete", 13 }
};

static inline struct principal user_of(const struct grant *grant)
{
    return (struct principal) { .kind = PRINCIPAL_USER,
                                .user_id = 77,
                                .org_id = 2,
                                .login = STR("li"),
                                .name = STR("Li"),
                                .grants = grant,
                                .grant_count = 1 };
}

/* People, and the pack "p" of these types with their tables. */
static inline void begin(struct rig *rig)
{
    struct err err = { 0 };
    rig_begin(rig);
    rig_people(rig);
    rig_pack(rig, "p");
    rig_put(rig, "p/types/site.json", SITE);
    rig_put(rig, "p/types/job.json", JOB);
    rig_put(rig, "p/types/event.json", EVENT);
    rig_load(rig);
    teststore_ok(rig_tables(rig, &err), &err, "tables");
}
