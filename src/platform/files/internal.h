/* internal.h - what the files of attachments share.  Layer: platform/files, not for other rooms. */
#pragma once
#include "platform/files/files.h"

#include <pthread.h>

struct files {
    char dir[2048];
    struct disk *disk;
    struct store *store;
    struct ids *ids;
    const struct clock *clock;
    pthread_rwlock_t lock; /* shared while a content gets its row, alone while one without a row goes */
};
