/* rekey.c - see rekey.h
 *
 * State saved after each portion: {"key","place","after","resealed","round"}.  Places in order: the record
 * types by their number, then the second factors, then the settings. */
#include "platform/rekey/rekey.h"
#include "crypto/keyring.h"
#include "platform/entity/entity.h"
#include "platform/identity/identity.h"

#include <inttypes.h>
#include <stdio.h>

#define PORTION_DEFAULT 100
#define ROUNDS_MAX 20
#define TRIES 50

struct round {
    struct rekey *rekey;
    struct job *job;
    const struct types *types;
    int64_t key, place, after, resealed, number; /* resealed: in all rounds and starts */
    int64_t before;                              /* resealed before this round */
    bool whole;                  /* this start began the round, so that `counts` tells of all places */
    struct reseal_counts counts; /* of this round */
};

static void read_saved(struct round *round)
{
    const struct str saved = job_saved(round->job);
    json_int_t key = 0, place = 0, after = 0, resealed = 0, number = 0, before = 0;
    json_t *json = saved.len ? json_loadb(saved.ptr, saved.len, 0, NULL) : NULL;
    if (json && json_unpack(json, "{s:I,s:I,s:I,s:I,s:I,s:I}", "key", &key, "place", &place, "after", &after,
                            "resealed", &resealed, "round", &number, "before", &before) == 0) {
        round->resealed = resealed;
        if (key == round->key) { /* else once more from the first place */
            round->place = place;
            round->after = after;
            round->number = number;
            round->before = before;
        }
    }
    json_decref(json);
}

static enum err_code save(struct round *round, struct err *err)
{
    char text[300];
    const int len =
        snprintf(text, sizeof text,
                 "{\"key\":%" PRId64 ",\"place\":%" PRId64 ",\"after\":%" PRId64 ",\"resealed\":%" PRId64
                 ",\"round\":%" PRId64 ",\"before\":%" PRId64 "}",
                 round->key, round->place, round->after, round->resealed, round->number, round->before);
    return job_save(round->job, (struct str) { text, (size_t)len }, err);
}

/* One portion of the place where it is; *out_note = what it is called. */
static enum err_code portion(struct round *round, bool *out_end, struct str *out_note, struct err *err)
{
    const struct rekey *rekey = round->rekey;
    const int limit = rekey->portion > 0 ? rekey->portion : PORTION_DEFAULT;
    const int types = types_count(round->types);
    if (round->place < types) {
        const struct entity_type *type = types_at(round->types, (int)round->place);
        *out_note = type->full;
        return entity_reseal(rekey->entity, type, limit, &round->after, out_end, &round->counts, err);
    }
    if (round->place == types) {
        *out_note = STR("core.user");
        return identity_reseal(rekey->identity, limit, &round->after, out_end, &round->counts, err);
    }
    *out_note = STR("core.settings");
    *out_end = true;
    return settings_reseal(rekey->settings, rekey->store, rekey->keys, &round->counts, err);
}

static enum err_code go_round(struct round *round, struct err *err)
{
    const int64_t places = types_count(round->types) + 2;
    enum err_code rc = ERR_OK;
    while (!rc && round->place < places) {
        const int64_t done = round->counts.resealed, at = round->after;
        struct str note;
        bool end = false;
        rc = job_check(round->job, err);
        if (!rc)
            rc = portion(round, &end, &note, err);
        if (rc)
            break;
        round->resealed += round->counts.resealed - done;
        job_progress(round->job, round->place + end, places, note);
        if (end) {
            round->place++;
            round->after = 0;
        }
        if (round->counts.resealed != done || at != round->after)
            rc = save(round, err);
        if (!rc && round->counts.resealed != done && round->rekey->after_portion)
            round->rekey->after_portion(round->rekey->arg);
    }
    return rc;
}

static enum err_code tell(const struct round *round, struct err *err)
{
    struct buf text;
    buf_init(&text, JOB_STATE_MAX);
    buf_printf(&text,
               "{\"key\":%" PRId64 ",\"seen\":%" PRId64 ",\"resealed\":%" PRId64 ",\"missing\":%" PRId64
               ",\"broken\":%" PRId64 ",\"first\":",
               round->key, round->counts.seen, round->resealed, round->counts.missing, round->counts.broken);
    buf_json(&text, str_from(round->counts.first));
    buf_char(&text, '}');
    enum err_code rc = buf_check(&text, err);
    if (!rc)
        rc = job_result(round->job, buf_get(&text), err);
    buf_done(&text);
    return rc;
}

/* The key that the job was asked with, read from the file when another node has added it. */
static enum err_code need_key(struct rekey *rekey, struct job *job, struct err *err)
{
    const struct str params = job_params(job);
    json_int_t key = 0;
    json_t *json = params.len ? json_loadb(params.ptr, params.len, 0, NULL) : NULL;
    if (json)
        (void)json_unpack(json, "{s?I}", "key", &key);
    json_decref(json);
    enum err_code rc = key_ring_newest(rekey->keys) < key ? key_ring_reload(rekey->keys, err) : ERR_OK;
    if (!rc && key_ring_newest(rekey->keys) < key)
        rc = err_set(err, ERR_BUSY, "crypto.key_missing", ARG_INT("key", key), ARG_END);
    return rc;
}

static enum err_code run(void *arg, struct job *job, struct err *err)
{
    struct rekey *rekey = arg;
    enum err_code rc = need_key(rekey, job, err);
    if (rc)
        return rc;
    struct round round = {
        .rekey = rekey, .job = job, .types = entity_types(rekey->entity), .key = key_ring_newest(rekey->keys)
    };
    read_saved(&round);
    round.whole = !round.place && !round.after;
    for (;;) {
        rc = go_round(&round, err);
        if (rc)
            return rc;
        if (round.whole && (round.resealed == round.before || round.number + 1 >= ROUNDS_MAX))
            return tell(&round, err);
        round.whole = true;
        round.number++;
        round.before = round.resealed;
        round.place = round.after = 0;
        round.counts = (struct reseal_counts) { 0 };
        rc = save(&round, err);
        if (rc)
            return rc;
    }
}

enum err_code rekey_register(struct rekey *rekey, struct jobs *jobs, struct err *err)
{
    const struct job_kind kind = {
        .name = REKEY_KIND, .run = run, .arg = rekey, .tries = TRIES, .alone = true, .schedule = "40 3 * * 0"
    };
    return jobs_register(jobs, &kind, err);
}

enum err_code rekey_add(struct jobs *jobs, struct tx *tx, int64_t key, int64_t user_id, int64_t *out_job,
                        struct err *err)
{
    char params[64];
    const int len = snprintf(params, sizeof params, "{\"key\":%" PRId64 "}", key);
    return jobs_add(jobs, tx, STR(REKEY_KIND), (struct str) { params, (size_t)len }, user_id, out_job, err);
}
