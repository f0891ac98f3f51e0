/* settings.h - typed settings with defaults, in the database, in memory on every node.
 *
 * Each room hands in a table of its settings before settings_load(); what is in no table does not exist.
 * Reading is from memory and never waits for the database; a change is one transaction that raises the
 * version of the whole set, and the other nodes follow (settings_refresh()).
 * Threads: any after settings_load().  Layer: platform/settings. */
#pragma once
#include "base/buf.h"

#include <jansson.h>

struct store;
struct tx;
struct settings;
struct key_ring;
struct reseal_counts;

enum setting_kind {
    SETTING_I64,
    SETTING_BOOL,
    SETTING_TEXT,
    SETTING_SECRET, /* a text that is never shown: readers get "" or "********"; sealed at rest by whoever
                       sets the seal functions, see settings_seal() */
};

struct setting {
    const char *key; /* "identity.session.idle_min"; its title is the word "setting.KEY" */
    enum setting_kind kind;
    int64_t number;      /* default of I64 and BOOL */
    int64_t least, most; /* I64: range; TEXT: characters */
    const char *text;    /* default of TEXT; NULL = empty */
};

#define SETTINGS_MAX 500

MUST_CHECK enum err_code settings_new(struct store *store, struct settings **out, struct err *err);
void settings_free(struct settings *settings);
/* Before settings_load(); the table ends with a NULL key and outlives the settings.  ERR_CONFLICT, ERR_LIMIT.
 */
MUST_CHECK enum err_code settings_add(struct settings *settings, const struct setting *table,
                                      struct err *err);
/* Reads all; a stored value that no longer fits its table counts as absent. */
MUST_CHECK enum err_code settings_load(struct settings *settings, struct err *err);
/* Reads again when the version in the database has moved; cheap.  *out_changed may be NULL. */
MUST_CHECK enum err_code settings_refresh(struct settings *settings, bool *out_changed, struct err *err);

/* How secrets are sealed and opened (the key ring); without it a secret is refused.  Before settings_load().
 */
void settings_seal(struct settings *settings, void *ctx,
                   enum err_code (*seal)(void *ctx, struct str key, struct str plain, struct buf *out,
                                         struct err *err),
                   enum err_code (*unseal)(void *ctx, struct str key, struct str sealed, struct buf *out,
                                           struct err *err));
/* Seals every stored secret anew that another key than the ring's newest seals, in one transaction; values
 * and versions stay.  Adds to `counts`.  For settings whose seal functions are those of that ring, with the
 * key as context. */
MUST_CHECK enum err_code settings_reseal(struct settings *settings, struct store *store,
                                         struct key_ring *keys, struct reseal_counts *counts,
                                         struct err *err);
/* Called after every change, on the thread that made or saw it; at most 16. */
void settings_on_change(struct settings *settings, void (*call)(void *arg), void *arg);

/* The value; asserts that the key exists and has that kind. */
int64_t settings_i64(struct settings *settings, const char *key);
bool settings_bool(struct settings *settings, const char *key);
/* A copy in the arena, ptr NULL only without memory; secrets come in the clear. */
struct str settings_text(struct settings *settings, const char *key, struct arena *arena);

/* {"version":n,"items":[{key,kind,value,default,least,most,changed}]}, secrets hidden; new reference or NULL.
 */
json_t *settings_json(struct settings *settings);
/* The version of the set in memory. */
int64_t settings_version(struct settings *settings);

bool settings_is_secret(struct settings *settings, const char *key);

/* Checks a change {"KEY":value|null,...} (null: back to the default); every fault is a finding with pointer
 * "/KEY".  ERR_INVALID. */
MUST_CHECK enum err_code settings_check(struct settings *settings, const json_t *change,
                                        struct findings *findings, struct err *err);
/* Writes a checked change within `tx`.  `version`: what the caller saw, -1 = any; ERR_STALE else.  Takes
 * effect when the caller calls settings_refresh() after the commit. */
MUST_CHECK enum err_code settings_write(struct settings *settings, struct tx *tx, const json_t *change,
                                        int64_t version, int64_t user_id, struct err *err);
