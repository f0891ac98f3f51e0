/* shipped.c - the decision models that packs bring along. */
#include "platform/decision/decision_sql.h"
#include "platform/decision/internal.h"

struct taking {
    struct decisions *decisions;
    struct str code, title, model;
    int64_t id;
    bool there, same;
};

static enum err_code look_fn(struct tx *tx, void *arg, struct err *err)
{
    struct taking *taking = arg;
    AUTO(stmt_free_auto) struct stmt *by_code = NULL;
    AUTO(stmt_free_auto) struct stmt *same = NULL;
    bool row = false;
    enum err_code rc = tx_prepare(tx, SQL_DECISION_BY_CODE, &by_code, err);
    if (rc)
        return rc;
    stmt_bind_text(by_code, 1, taking->code);
    rc = stmt_step(by_code, &taking->there, err);
    if (rc || !taking->there)
        return rc;
    taking->id = stmt_i64(by_code, 0);
    rc = tx_prepare(tx, SQL_VERSION_SAME, &same, err);
    if (rc)
        return rc;
    stmt_bind_text(same, 1, taking->code);
    stmt_bind_text(same, 2, taking->model);
    rc = stmt_step(same, &row, err);
    taking->same = rc == ERR_OK && row && stmt_i64(same, 0) > 0;
    return rc;
}

/* A newer model becomes a draft, unless somebody works on one. */
static enum err_code offer(struct taking *taking, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new((size_t)64 << 20);
    struct decision_row row;
    struct decision_version_row *versions;
    int64_t number, version;
    int count;
    if (!arena)
        return err_nomem(err);
    enum err_code rc = decision_read(taking->decisions, arena, taking->id, &row, &versions, &count, err);
    for (int i = 0; i < count && rc == ERR_OK; i++)
        if (versions[i].state == DECISION_DRAFT || versions[i].state == DECISION_TESTED)
            return ERR_OK;
    if (rc == ERR_OK && count > 0)
        rc = decision_draft(taking->decisions, NULL, taking->id, versions[count - 1].number, &number, err);
    if (rc == ERR_OK && count > 0)
        rc = decision_save(taking->decisions, NULL, taking->id, number, -1, taking->model, STR(""), &version,
                           err);
    return rc;
}

static enum err_code check_model(const struct taking *taking, struct str *out_title, struct arena *arena,
                                 struct err *err)
{
    AUTO(dmn_free_auto) struct dmn_model *model = NULL;
    struct err why = { 0 };
    const enum err_code rc = decision_load(taking->model, &model, &why, err);
    if (rc)
        return rc;
    for (int i = 0; model && i < dmn_findings(model)->count && !why.code; i++)
        if (dmn_findings(model)->items[i].is_error)
            why = dmn_findings(model)->items[i].err;
    if (why.code) {
        if (err)
            *err = why;
        return why.code;
    }
    *out_title = arena_str(arena, dmn_model_file(model, 0)->name);
    return out_title->ptr ? ERR_OK : err_nomem(err);
}

static enum err_code take(struct decisions *decisions, struct arena *arena, struct str code, struct str model,
                          struct err *err)
{
    struct taking taking = { .decisions = decisions, .code = code, .model = model };
    enum err_code rc = check_model(&taking, &taking.title, arena, err);
    if (rc == ERR_OK)
        rc = store_read(decisions->config.store, look_fn, &taking, err);
    if (rc || taking.same)
        return rc;
    if (taking.there)
        return offer(&taking, err);
    return decision_ship(decisions, code, taking.title.len > 0 ? taking.title : code, model, &taking.id, err);
}

enum err_code decisions_take_packs(struct decisions *decisions, const struct packs *packs, struct err *err)
{
    for (int i = 0; i < packs_count(packs); i++) {
        const struct pack *pack = packs_at(packs, i);
        for (int j = 0; j < pack->files_count; j++) {
            const struct pack_file *file = &pack->files[j];
            AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 20);
            if (file->folder != PACK_DECISIONS || !str_eq(file->ending, STR("dmn")))
                continue;
            const struct str code =
                arena_printf(arena, "%.*s.%.*s", STR_ARG(pack->name), STR_ARG(file->name));
            if (!code.ptr)
                return err_nomem(err);
            const enum err_code rc = take(decisions, arena, code, file->text, err);
            if (rc) {
                (void)err_pointer(err, code);
                return err_in(err, "decision.pack");
            }
        }
    }
    return ERR_OK;
}
