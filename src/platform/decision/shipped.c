/* shipped.c - the decision models that packs bring along. */
#include "platform/decision/decision_sql.h"
#include "platform/decision/internal.h"

#include <stdio.h>

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

/* -- bihuan pack check --------------------------------------------------------------------------------- */

#define CHECK_FINDINGS_MAX 50

struct check {
    const struct words *words;
    enum lang lang;
    struct findings *findings;
    const struct pack *pack;
    const struct pack_file *file;
};

static enum err_code tell(const struct check *check, const struct dmn_finding *found, struct err *err)
{
    AUTO(arena_free_auto) struct arena *arena = arena_new(1 << 16);
    struct err one = { 0 };
    char where[200], at[40];
    if (!arena)
        return err_nomem(err);
    const struct str what = err_text(arena, &found->err, check->words, check->lang);
    (void)snprintf(where, sizeof where, "%.*s/%.*s:%d", STR_ARG(check->pack->name),
                   STR_ARG(check->file->path), found->line);
    (void)snprintf(at, sizeof at, "%d:%d", found->rule, found->column);
    if (found->rule > 0 && found->column > 0)
        (void)err_set(&one, ERR_INVALID, "decision.pack_cell", ARG_TEXT("file", where),
                      ARG_STR("element", found->element), ARG_TEXT("at", at), ARG_STR("what", what), ARG_END);
    else if (found->element.len > 0)
        (void)err_set(&one, ERR_INVALID, "decision.pack_element", ARG_TEXT("file", where),
                      ARG_STR("element", found->element), ARG_STR("what", what), ARG_END);
    else
        (void)err_set(&one, ERR_INVALID, "decision.pack_model", ARG_TEXT("file", where),
                      ARG_STR("what", what), ARG_END);
    findings_add(check->findings, &one);
    return ERR_OK;
}

static enum err_code check_file(const struct check *check, struct err *err)
{
    AUTO(dmn_free_auto) struct dmn_model *model = NULL;
    struct err why = { 0 };
    enum err_code rc = decision_load(check->file->text, &model, &why, err);
    if (rc == ERR_OK && !model) {
        struct dmn_finding none = { .err = why, .line = why.at.line };
        none.err.at.line = 0; /* stands in front already */
        return tell(check, &none, err);
    }
    for (int i = 0; rc == ERR_OK && i < dmn_findings(model)->count && i < CHECK_FINDINGS_MAX; i++)
        if (dmn_findings(model)->items[i].is_error)
            rc = tell(check, &dmn_findings(model)->items[i], err);
    return rc;
}

enum err_code decisions_check_packs(const struct packs *packs, const struct words *words, enum lang lang,
                                    struct findings *findings, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int i = 0; i < packs_count(packs); i++)
        for (int j = 0; j < packs_at(packs, i)->files_count && rc == ERR_OK; j++) {
            const struct pack *pack = packs_at(packs, i);
            const struct check check = { words, lang, findings, pack, &pack->files[j] };
            if (check.file->folder == PACK_DECISIONS && str_eq(check.file->ending, STR("dmn")))
                rc = check_file(&check, err);
        }
    return rc;
}
