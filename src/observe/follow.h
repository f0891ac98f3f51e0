/* follow.h - keeps a copy in memory of all records of one type: loads them, then follows the bus.
 *
 * Each change is read anew from the store and handed on; while the store is away the news wait.
 * Threads: set and remove are called by the loader's thread in follow_open(), later by one of our own.
 * Layer: observe. */
#pragma once
#include "platform/bus/bus.h"
#include "platform/entity/entity.h"

struct follow;

struct follow_config {
    struct store *store;
    struct entity *entity;
    struct bus *bus;
    const char *type; /* "ops.check" */
    void *ctx;
    /* A record as it is now.  A failure is logged; the record is then left out until it changes again. */
    enum err_code (*set)(void *ctx, int64_t id, const json_t *record, struct err *err);
    void (*remove)(void *ctx, int64_t id);
};

/* ERR_NOT_FOUND: no pack has that type; those of the store. */
MUST_CHECK enum err_code follow_open(const struct follow_config *config, struct follow **out,
                                     struct err *err);
/* Accepts NULL. */
void follow_close(struct follow *follow);
/* Waits until what the bus has said so far was handed on, so that what a person was told is saved counts from
 * then on.  Not while the store is away, and `timeout_ms` at most.  Any thread. */
void follow_settle(struct follow *follow, int timeout_ms);
