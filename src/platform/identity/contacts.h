/* contacts.h - who can be told, and where: all active users with their address, for those who keep them in
 * memory.  Layer: platform/identity. */
#pragma once
#include "base/words.h"
#include "store/store.h"

struct contact {
    int64_t id, org;
    struct str name, mail, phone; /* live until `each` returns */
    enum lang lang;
};
MUST_CHECK enum err_code
contacts_each(struct tx *tx, enum err_code (*each)(void *arg, const struct contact *contact, struct err *err),
              void *arg, struct err *err);
