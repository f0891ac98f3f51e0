/* contacts_sql.c - see contacts.h */
#include "platform/identity/contacts.h"

#define SQL_CONTACTS "SELECT id, org_id, name, email, phone, lang FROM app_user WHERE active = 1 ORDER BY id"

enum err_code contacts_each(struct tx *tx,
                            enum err_code (*each)(void *arg, const struct contact *contact, struct err *err),
                            void *arg, struct err *err)
{
    AUTO(stmt_free_auto) struct stmt *stmt = NULL;
    bool row = false;
    if (tx_prepare(tx, SQL_CONTACTS, &stmt, err))
        return err->code;
    for (;;) {
        enum err_code rc = stmt_step(stmt, &row, err);
        if (rc || !row)
            return rc;
        const struct contact contact = { .id = stmt_i64(stmt, 0),
                                         .org = stmt_i64(stmt, 1),
                                         .name = stmt_text(stmt, 2),
                                         .mail = stmt_text(stmt, 3),
                                         .phone = stmt_text(stmt, 4),
                                         .lang = lang_from(stmt_text(stmt, 5)) };
        rc = each(arg, &contact, err);
        if (rc)
            return rc;
    }
}
