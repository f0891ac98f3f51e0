/* fact_sql.c - which facts hold at the instants of a call: the only place where that becomes SQL.
 *
 * A correction counts from the instant it was known, whatever it says about when the thing happened: a fact
 * that was moved behind `as_of` by its correction is gone from before it, too. */
#include "platform/entity/internal.h"

bool facts_limited(const struct entity_call *call, const struct entity_type *type)
{
    return call->facts && type->kind == TYPE_FACT;
}

/* A type may leave the column out, and rows may be older than it: then it is when the record was made. */
static void add_known(const struct entity_call *call, const struct entity_type *type, const char *alias,
                      struct sql *sql)
{
    const int known = type_field(type, STR("known_at"));
    sql_add(sql, known < 0 ? " AND " : " AND COALESCE(");
    if (known >= 0) {
        sql_add(sql, alias);
        sql_str(sql, type->fields[known].column);
        sql_add(sql, ", ");
    }
    sql_add(sql, alias);
    sql_str(sql, type->fields[COLUMN_CREATED_AT].column);
    sql_add(sql, known < 0 ? " <= " : ") <= ");
    sql_i64(sql, call->facts->known_until);
}

void facts_sql(const struct entity_call *call, const struct entity_type *type, struct sql *sql)
{
    if (!facts_limited(call, type))
        return;
    const int happened = type_field(type, STR("happened_at"));
    const int supersedes = type_field(type, STR("supersedes"));
    if (happened >= 0) {
        sql_add(sql, " AND t.");
        sql_str(sql, type->fields[happened].column);
        sql_add(sql, " <= ");
        sql_i64(sql, call->facts->as_of);
    }
    add_known(call, type, "t.", sql);
    if (supersedes < 0)
        return;
    sql_add(sql, " AND NOT EXISTS (SELECT 1 FROM \"");
    sql_str(sql, type->table);
    sql_add(sql, "\" c WHERE c.");
    sql_str(sql, type->fields[supersedes].column);
    sql_add(sql, " = t.\"id\"");
    add_known(call, type, "c.", sql);
    sql_add(sql, ")");
}
