/* message.h - what is sent to a loop from other threads.  Layer: observe (uses base). */
#pragma once
#include "observe/collect/loop.h"

enum message_kind { MESSAGE_SET, MESSAGE_REMOVE, MESSAGE_RUN, MESSAGE_STOP };

struct message {
    struct message *next;
    enum message_kind kind;
    int64_t id;
    int32_t version;
    struct spec *spec; /* owned */
};

/* Creates the loop and its thread; loop_stop() ends and frees both. */
MUST_CHECK enum err_code loop_start(struct collect *collect, int index, size_t open_max,
                                    struct loop **out_loop, struct err *err);
void loop_stop(struct loop *loop);
/* `spec` is taken, also on failure. */
MUST_CHECK enum err_code loop_send(struct loop *loop, enum message_kind kind, int64_t id, int32_t version,
                                   struct spec *spec, struct err *err);
