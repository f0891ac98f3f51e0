/* rule.c - FEEL over a record: rules of a type and filters of a list. */
#include "platform/entity/internal.h"

enum err_code rules_compile(struct entity *entity, struct findings *findings, struct err *err)
{
    (void)entity, (void)findings, (void)err;
    return ERR_OK;
}

enum err_code rules_check(const struct entity_call *call, const struct entity_type *type,
                          const struct value *values, struct err *err)
{
    (void)call, (void)type, (void)values, (void)err;
    return ERR_OK;
}

enum err_code filter_add(const struct entity_call *call, struct tx *tx, const struct entity_type *type,
                         struct str filter, struct sql *sql, struct err *err)
{
    (void)call, (void)tx, (void)type, (void)filter, (void)sql;
    return err_set(err, ERR_UNSUPPORTED, "entity.no_filter", ARG_END);
}
