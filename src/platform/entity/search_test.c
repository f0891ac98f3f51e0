/* search_test.c - what `q` finds, against a slow reading of the rule that knows nothing of grams or indexes:
 * random texts and queries, Chinese and Latin mixed, over records made, changed and deleted; on both stores.
 *
 * The rule (docs/packs.md, gram.h): texts and words are folded (case, full width) and cut into runs of
 * Chinese and runs of letters and digits; a word is found where its runs stand in those of one field, from
 * the beginning of a run if it begins with a letter or digit; all words must be found; newest first. */
#include "platform/entity/entity.h"
#include "rig.h"
#include "test.h"

#define T "\"x-title\":{\"zh-CN\":\"x\",\"en\":\"x\"}"
#define RECORDS 150
#define QUERIES 500
#define TEXT_MAX 80

/* What texts are made of: few characters, so that much is found and much nearly. */
static const char *const PIECES[] = { "网", "络", "故", "障", "上", "海", "市",   "一", "a",
                                      "b",  "A",  "B",  "1",  "2",  "Ａ", "ｂ",   "１", " ",
                                      " ",  "-",  "，", "。", "（", "_",  "网络", "ab" };
#define PIECES_COUNT (sizeof PIECES / sizeof *PIECES)

struct record {
    int64_t id, version;
    char name[TEXT_MAX], note[TEXT_MAX];
    bool there;
};

static uint64_t seed = 20261121;

static size_t below(size_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return n ? (size_t)(seed >> 33) % n : 0;
}

static void random_text(char out[TEXT_MAX], size_t pieces)
{
    *out = 0;
    for (size_t i = 0; i < pieces && strlen(out) + 8 < TEXT_MAX; i++)
        strcat(out, PIECES[below(PIECES_COUNT)]);
}

/* ---- the slow reading ---- */

struct runs { /* code points, runs apart by a blank */
    int32_t text[2 * TEXT_MAX];
    size_t len;
};

static bool is_chinese(int32_t c)
{
    return c >= 0x4e00 && c < 0xa000;
}

static bool is_word(int32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

static int32_t folded(int32_t c)
{
    if (c >= 0xff01 && c <= 0xff5e) /* full width */
        c -= 0xff01 - '!';
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static struct runs runs_of(struct str text)
{
    struct runs out = { .len = 0 };
    int32_t last = 0;
    for (size_t at = 0; at < text.len;) {
        const int32_t c = folded(utf8_next(text, &at));
        const bool kept = is_chinese(c) || is_word(c);
        if (kept && out.len && (!last || is_chinese(c) != is_chinese(last)))
            out.text[out.len++] = ' ';
        if (kept)
            out.text[out.len++] = c;
        last = kept ? c : 0;
    }
    return out;
}

static bool stands_in(const struct runs *word, const struct runs *text)
{
    for (size_t at = 0; at + word->len <= text->len; at++)
        if (!memcmp(word->text, text->text + at, word->len * sizeof *word->text) &&
            (is_chinese(word->text[0]) || !at || text->text[at - 1] == ' '))
            return true;
    return false;
}

static bool found(const struct record *record, struct str query)
{
    const struct runs name = runs_of(str_from(record->name)), note = runs_of(str_from(record->note));
    struct str part;
    bool any = false;
    while (query.len && str_cut(&query, ' ', &part)) {
        const struct runs word = runs_of(part);
        if (!word.len)
            continue;
        any = true;
        if (!stands_in(&word, &name) && !stands_in(&word, &note))
            return false;
    }
    return any && record->there;
}

/* ---- the records ---- */

static void make(struct rig *rig, struct record *record)
{
    random_text(record->name, 1 + below(10));
    random_text(record->note, below(14));
    strcat(record->name, "上"); /* a name is required, and blanks are none */
    record->id =
        rig_add(rig, NULL, "p.thing", "{\"name\":\"%s\",\"note\":\"%s\"}", record->name, record->note);
    record->version = 1;
    record->there = true;
}

static void change(struct rig *rig, struct record *record)
{
    struct err err = { 0 };
    char json[3 * TEXT_MAX];
    if (below(4) == 0) {
        teststore_ok(rig_delete(rig, NULL, "p.thing", record->id, record->version, &err), &err, "delete");
        record->there = false;
        return;
    }
    random_text(record->note, below(14));
    (void)snprintf(json, sizeof json, "{\"note\":\"%s\"}", record->note);
    teststore_ok(rig_update(rig, NULL, "p.thing", record->id, &record->version, json, &err), &err, "update");
}

/* A part of some text, or a text of its own; sometimes two words. */
static void random_query(const struct record *records, char out[2 * TEXT_MAX])
{
    char one[TEXT_MAX];
    *out = 0;
    for (size_t words = 1 + below(2); words; words--) {
        const struct str text = str_from(records[below(RECORDS)].name);
        size_t from = below(text.len), len = 1 + below(9);
        if (below(3) == 0) {
            random_text(one, 1 + below(4));
        } else {
            while (from && ((unsigned char)text.ptr[from] & 0xc0) == 0x80)
                from--;
            while (from + len < text.len && ((unsigned char)text.ptr[from + len] & 0xc0) == 0x80)
                len++;
            (void)snprintf(one, sizeof one, "%.*s", STR_ARG(str_slice(text, from, from + len)));
        }
        strcat(out, one);
        strcat(out, words > 1 ? " " : "");
    }
}

static int check_query(struct rig *rig, const struct record *records, const char *query)
{
    const struct entity_list what = { .text = str_from(query), .limit = ENTITY_PAGE_MAX };
    struct err err = { 0 };
    bool got[RECORDS] = { 0 };
    int64_t last = INT64_MAX;
    int hits = 0;
    size_t n;
    json_t *page = rig_list(rig, NULL, "p.thing", what, &err), *item;
    test_ok(page, "[%s]: %s", query, err.id);
    json_array_foreach(json_object_get(page, "items"), n, item)
    {
        const int64_t id = record_id(item, "id");
        test_ok(id < last, "[%s]: newest first", query);
        last = id;
        for (int i = 0; i < RECORDS; i++)
            got[i] = got[i] || records[i].id == id;
    }
    json_decref(page);
    for (int i = 0; i < RECORDS; i++) {
        const bool want = found(&records[i], str_from(query));
        test_ok(got[i] == want, "[%s] in [%s] [%s]: %d, wanted %d", query, records[i].name, records[i].note,
                got[i], want);
        hits += want;
    }
    int64_t count = 0;
    bool exact = false;
    teststore_ok(rig_count(rig, NULL, "p.thing", what, &count, &exact, &err), &err, query);
    test_ok(count == hits && exact, "[%s]: %lld of %d", query, (long long)count, hits);
    return hits;
}

static void test_rule(void **state)
{
    (void)state;
    static struct record records[RECORDS];
    struct rig f = { 0 };
    struct err err = { 0 };
    int some = 0, none = 0;
    rig_begin(&f);
    rig_pack(&f, "p");
    rig_put(&f, "p/types/thing.json",
            "{\"type\":\"object\"," T
            ",\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":\"string\"," T
            "},\"note\":{\"type\":\"string\"," T "}},\"x-search\":[\"name\",\"note\"]}");
    rig_load(&f);
    teststore_ok(rig_tables(&f, &err), &err, "tables");
    for (int i = 0; i < RECORDS; i++)
        make(&f, &records[i]);
    for (int i = 0; i < QUERIES; i++) {
        char query[2 * TEXT_MAX];
        random_query(records, query);
        if (!*query)
            continue;
        if (i % 10 == 9) {
            struct record *record = &records[below(RECORDS)];
            if (record->there)
                change(&f, record);
        }
        const int hits = check_query(&f, records, query);
        some += hits > 0;
        none += !hits;
    }
    test_ok(some > QUERIES / 4 && none > QUERIES / 20, "found %d times, not %d times", some, none);
    rig_end(&f);
}

TEST_MAIN(TEST(test_rule))
